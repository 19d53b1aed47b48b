"""Figures: a result goes in, a Matplotlib Axes comes out; nothing is fitted, shown or saved by a
plot.

PointNames are loaded when first used, so that importing this package costs nothing and imports no
Matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapmeta.plot import style as style
    from kapmeta.plot.curves import drapery as drapery
    from kapmeta.plot.curves import follow_up as follow_up
    from kapmeta.plot.curves import posterior as posterior
    from kapmeta.plot.curves import prior_scale as prior_scale
    from kapmeta.plot.forest_page.columns import Column as Column
    from kapmeta.plot.forests import forest as forest
    from kapmeta.plot.forests import size as size
    from kapmeta.plot.forests import sweep as sweep
    from kapmeta.plot.funnels import funnel as funnel
    from kapmeta.plot.funnels import radial as radial
    from kapmeta.plot.influence_panels import influence as influence
    from kapmeta.plot.judgements import risk_of_bias as risk_of_bias
    from kapmeta.plot.judgements import risk_of_bias_summary as risk_of_bias_summary
    from kapmeta.plot.paging import forest_pages as forest_pages
    from kapmeta.plot.saving import alt_text as alt_text
    from kapmeta.plot.saving import save as save
    from kapmeta.plot.scatters import baujat as baujat
    from kapmeta.plot.scatters import bubble as bubble
    from kapmeta.plot.scatters import labbe as labbe
    from kapmeta.plot.specifications import multiverse as multiverse
    from kapmeta.plot.subset_clouds import gosh as gosh
    from kapmeta.plot.tipping_surfaces import tipping as tipping

_HOME = {
    "Column": "forest_page.columns",
    "alt_text": "saving",
    "baujat": "scatters",
    "bubble": "scatters",
    "drapery": "curves",
    "follow_up": "curves",
    "forest": "forests",
    "forest_pages": "paging",
    "funnel": "funnels",
    "gosh": "subset_clouds",
    "influence": "influence_panels",
    "labbe": "scatters",
    "multiverse": "specifications",
    "posterior": "curves",
    "prior_scale": "curves",
    "radial": "funnels",
    "risk_of_bias": "judgements",
    "risk_of_bias_summary": "judgements",
    "save": "saving",
    "size": "forests",
    "sweep": "forests",
    "tipping": "tipping_surfaces",
}
"""Public name -> module it lives in."""

__all__ = ["style", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'kapmeta.plot has no "{name}"; it has: {", ".join(__all__)}')
    module = importlib.import_module(f"kapmeta.plot.{_HOME.get(name, name)}")
    value = getattr(module, name) if name in _HOME else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

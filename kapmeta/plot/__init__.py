"""Figures: a result goes in, a Matplotlib Axes comes out; nothing is fitted, shown or saved.

Names are loaded when first used, so that importing this package costs nothing and imports no
Matplotlib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapmeta._lazy import lazy

if TYPE_CHECKING:
    from kapmeta.plot import style as style
    from kapmeta.plot.curves import drapery as drapery
    from kapmeta.plot.curves import follow_up as follow_up
    from kapmeta.plot.curves import posterior as posterior
    from kapmeta.plot.curves import prior_scale as prior_scale
    from kapmeta.plot.flow_diagrams import flow_diagram as flow_diagram
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
    from kapmeta.plot.scenarios.coverages import coverage_by_tau as coverage_by_tau
    from kapmeta.plot.scenarios.coverages import coverage_by_width as coverage_by_width
    from kapmeta.plot.scenarios.tipping_surfaces import tipping as tipping
    from kapmeta.plot.scenarios.unread_trials import unread_trial as unread_trial
    from kapmeta.plot.specifications import multiverse as multiverse
    from kapmeta.plot.subset_clouds import gosh as gosh

_FILES = {
    "scenarios.coverages": ["coverage_by_tau", "coverage_by_width"],
    "curves": ["drapery", "follow_up", "posterior", "prior_scale"],
    "flow_diagrams": ["flow_diagram"],
    "forest_page.columns": ["Column"],
    "forests": ["forest", "size", "sweep"],
    "funnels": ["funnel", "radial"],
    "influence_panels": ["influence"],
    "judgements": ["risk_of_bias", "risk_of_bias_summary"],
    "paging": ["forest_pages"],
    "saving": ["alt_text", "save"],
    "scatters": ["baujat", "bubble", "labbe"],
    "specifications": ["multiverse"],
    "subset_clouds": ["gosh"],
    "scenarios.tipping_surfaces": ["tipping"],
    "scenarios.unread_trials": ["unread_trial"],
}

__all__, __getattr__, __dir__ = lazy(__name__, _FILES, ["style"])

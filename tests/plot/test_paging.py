"""Forest plots over several pages, and their size."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from kapmeta.effects.estimates import generic
from kapmeta.plot.forests import forest, size
from kapmeta.plot.paging import forest_pages
from kapmeta.plot.saving import root_of
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.pooled import Pooled
from tests.helpers.figures import all_text, texts

matplotlib.use("Agg")


def test_pages_share_columns_axis_and_squares() -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "study": [f"T{i}" for i in range(130)],
            "y": rng.normal(0, 0.3, 130),
            "v": rng.uniform(0.01, 0.2, 130),
        }
    )
    result = pool(generic(table))
    pages = forest_pages(result)
    assert len(pages) == 3
    assert len({ax.get_xlim() for ax in pages}) == 1
    assert len({round(root_of(ax).get_size_inches()[0], 6) for ax in pages}) == 1
    names = [text for ax in pages for text in texts(ax) if text in set(table["study"])]
    assert names == list(table["study"])
    sizes = np.concatenate(
        [c.get_sizes() for ax in pages for c in ax.collections if isinstance(c, PathCollection)]
    )
    large = result.weights / result.weights.max() > 0.3
    np.testing.assert_allclose(
        sizes[large] / sizes.max(), (result.weights / result.weights.max())[large], rtol=1e-8
    )
    assert sum("Random-effects model" in all_text(ax) for ax in pages) == 1
    assert len(forest_pages(result, rows=200)) == 1
    with pytest.raises(ValueError, match="rows = 3"):
        forest_pages(result, rows=3)


def test_size_still_tells_the_size(bcg: Pooled) -> None:
    assert size(bcg) == pytest.approx(tuple(root_of(forest(bcg)).get_size_inches()))

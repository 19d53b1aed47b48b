"""Names beside points keep apart from each other and from marks."""

from __future__ import annotations

import matplotlib
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kapmeta.plot.panel.labelling import labelled
from kapmeta.plot.panel.typesetting import Font

matplotlib.use("Agg")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200)), min_size=1, max_size=15))
def test_names_keep_apart_from_names_and_marks(places: list[tuple[float, float]]) -> None:
    font = Font(("DejaVu Sans",), 9.0)
    at = np.array(places)
    found, left = labelled(
        at,
        np.full(len(at), 5.0),
        [f"Study {i}" for i in range(len(at))],
        font,
        (300, 200),
        np.empty((0, 2)),
    )
    assert len(found) + left == len(at)
    from kapmeta.plot.panel.typesetting import text_width

    box = np.array(
        [[n.x, n.y, n.x + text_width(n.lines[0], font), n.y + 0.75 * 9] for n in found]
    ).reshape(-1, 4)
    for i in range(len(box)):
        for j in range(i):
            apart = (box[i, :2] >= box[j, 2:]).any() or (box[j, :2] >= box[i, 2:]).any()
            assert apart
        assert (box[i, :2] >= 0).all()
        assert box[i, 2] <= 300

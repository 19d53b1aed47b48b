"""Henmi and Copas's interval against metafor (tests/reference 09_small_study)."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from kapmeta.core.pooling.henmi_copas import henmi_copas_limits
from tests.helpers.r_values import number, records


def test_metafor() -> None:
    """metafor 5.1-12 ``hc``, every record: limits to R's root tolerance of 1.2e-4, rest to 1e-8."""
    seen = 0
    for record in records("09_small_study"):
        if record["settings"]["fun"] != "metafor::hc":
            continue
        y, v = (np.array(record["inputs"][key], dtype=float)[None] for key in ("yi", "vi"))
        found, r = henmi_copas_limits(y, v, 0.95), record["results"]
        assert_allclose(
            [found.estimate[0], found.se[0]],
            [number(r["estimate"]), number(r["se"])],
            rtol=1e-8,
            atol=1e-14,
        )
        limits = [number(r["ci_lb"]), number(r["ci_ub"])]
        assert_allclose(
            [found.low[0], found.high[0]], limits, rtol=0, atol=5e-4 * float(found.se[0])
        )
        seen += 1
    assert seen == 90

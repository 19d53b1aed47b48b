"""Results that tests of several plots share."""

from __future__ import annotations

import pytest

from kapmeta.effects.counts import risk_ratio
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.pooled import Pooled
from tests.helpers.figures import BCG


@pytest.fixture(scope="module")
def bcg() -> Pooled:
    return pool(risk_ratio(BCG))

"""Effects that several tests of this room use."""

from __future__ import annotations

import pytest

import kapmeta as km
from kapmeta.results.effects import Effects
from tests.helpers.labelled_effects import effects_of
from tests.helpers.r_values import data_set


@pytest.fixture(scope="module")
def bcg() -> Effects:
    return km.odds_ratio(km.load_example("bcg"))


@pytest.fixture(scope="module")
def smoke() -> Effects:
    smoking = km.load_example("passive_smoking")
    return km.generic(smoking, y="y", v="v", measure="OR", event_is_good=True)


@pytest.fixture(scope="module")
def few() -> Effects:
    return effects_of(*data_set("kap5"), measure="RR")

"""The batch engine: one call is a loop, a mask is a deletion, one bad row harms no other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from kapmeta.core import combine
from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.numerics import masks
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.status import Status
from kapmeta.core.pooling.combining import Combined
from kapmeta.core.pooling.intervals import INTERVALS
from tests.helpers.r_values import data_set

FLOATS = ("estimate", "se", "low", "high", "df", "tau2", "q")


def assert_same(here: Combined, there: Combined, exact: float = 1e-12) -> None:
    for name in FLOATS:
        assert_allclose(
            getattr(here, name), getattr(there, name), rtol=exact, atol=1e-14, err_msg=name
        )
    assert_array_equal(here.k, there.k)
    assert_array_equal(here.status, there.status)


def simulated(rows: int, k: int, seed: int = 1) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.5, (rows, k))
    return rng.normal(0.4, 0.3, (rows, k)) + rng.normal(size=(rows, k)) * np.sqrt(v), v


def test_bcg_against_metafor() -> None:
    """metafor 5.1-12, ``rma(yi, vi, data=dat.bcg)``, threshold 1e-13: log RR and tau2."""
    y, v = data_set("bcg")
    here = combine(y, v, tau2="REML", ci="wald")
    assert_allclose(here.estimate, -0.7145323421581394, rtol=1e-10)
    assert_allclose(here.tau2, 0.31324325813648085, rtol=1e-10)
    assert_allclose(here.q, 152.23300808238, rtol=1e-11)
    assert_allclose([here.low, here.high], [-1.0668976388103504, -0.36216704550592854], rtol=1e-10)


@pytest.mark.parametrize("word", ESTIMATORS)
def test_a_batch_is_a_loop(word: str) -> None:
    y, v = simulated(24, 6)
    batch = combine(y.reshape(4, 6, 6), v.reshape(4, 6, 6), tau2=word, ci="hksj-hybrid")
    assert batch.estimate.shape == (4, 6)
    for i in range(24):
        alone = combine(y[i], v[i], tau2=word, ci="hksj-hybrid")
        assert_same(Combined(*(part.reshape(-1)[i] for part in batch)), alone)


@pytest.mark.parametrize("ci", [word for word in INTERVALS if not word.startswith("permutation")])
@pytest.mark.parametrize("tau2", ["REML", "DL", 0.0, 0.1])
def test_a_mask_is_a_deletion(tau2: str | float, ci: str) -> None:
    y, v = simulated(1, 6, seed=3)
    y, v = y[0], v[0]
    mask = masks.all_subsets(6) if ci in ("wald", "hksj-hybrid") else masks.leave_one_out(6)
    together = combine(y, v, tau2=tau2, ci=ci, mask=mask)
    for i, row in enumerate(mask):
        alone = combine(y[row], v[row], tau2=tau2, ci=ci)
        assert_same(Combined(*(part[i] for part in together)), alone, exact=1e-9)


@pytest.mark.parametrize("tau2", ["DL", 0.0])
def test_matrix_products_agree_with_refits(tau2: str | float) -> None:
    """The linear path (methods of sums) against the plain one: the same to 1e-12."""
    y, v = data_set("bcg")
    mask = masks.all_subsets(13)[::7]
    fast = combine(y, v, tau2=tau2, mask=mask)
    plain = combine(y, np.where(mask, v, np.inf), tau2=tau2)
    assert_same(fast, plain)


def test_every_subset_of_the_canonical_five() -> None:
    """metafor 5.1-12 ``gosh(rma(yi, vi, method="EE"))`` on KAP5: {S1,S3,S5} and {S1..S4}."""
    y, v = data_set("kap5")
    found = combine(y, v, tau2=0.0, mask=masks.all_subsets(5))
    assert found.k.size == 31
    assert_allclose(found.estimate[0b10101 - 1], 1.0064201960, rtol=1e-9)
    assert_allclose(found.q[0b10101 - 1], 2.7408416567, rtol=1e-9)
    assert_allclose(found.estimate[0b01111 - 1], 0.9799728657, rtol=1e-9)


@given(st.permutations(range(7)))
@pytest.mark.parametrize("tau2", ["REML", "PM", "DL", 0.0])
def test_the_order_of_studies_changes_no_digit(tau2: str | float, order: list[int]) -> None:
    y, v = simulated(1, 7, seed=11)
    here, there = combine(y[0], v[0], tau2=tau2), combine(y[0][order], v[0][order], tau2=tau2)
    for name in FLOATS:
        assert_array_equal(getattr(here, name), getattr(there, name))


@given(st.sampled_from([1e-6, 1e-3, 1e3, 1e6]), st.integers(0, 50))
@pytest.mark.parametrize("ci", ["wald", "hksj-hybrid", "kr"])
def test_units(ci: str, unit: float, seed: int) -> None:
    y, v = simulated(1, 5, seed)
    here, there = combine(y, v, ci=ci), combine(y * unit, v * unit**2, ci=ci)
    for name in ("estimate", "se", "low", "high"):
        assert_allclose(getattr(there, name) / unit, getattr(here, name), rtol=1e-9, atol=1e-12)
    assert_allclose(there.tau2 / unit**2, here.tau2, rtol=1e-10)


def test_an_impossible_row_is_nan_and_harms_no_other() -> None:
    y, v = simulated(6, 4)
    good = combine(y, v)
    y, v = y.copy(), v.copy()
    v[1, 2], v[2, 0], y[3, 1], v[4, :] = 0.0, -0.1, np.nan, np.inf
    found = combine(y, v)
    assert_array_equal(
        found.status, [Status.OK, *[Status.INVALID_INPUT] * 3, Status.NO_STUDIES, Status.OK]
    )
    assert np.isnan(found.estimate[1:5]).all()
    for name in FLOATS:
        assert_array_equal(getattr(found, name)[[0, 5]], getattr(good, name)[[0, 5]])


def test_one_study_is_its_own_result() -> None:
    found = combine([[0.4, 9.0]], [[0.04, np.inf]], ci="hksj-hybrid")
    assert found.status == Status.ONE_STUDY
    assert_allclose([found.estimate[0], found.se[0]], [0.4, 0.2])
    assert np.isnan([found.tau2[0], found.q[0]]).all()
    by_mask = combine([0.4, 9.0], [0.04, 1.0], tau2=0.0, mask=[[True, False], [False, False]])
    assert_array_equal(by_mask.status, [Status.ONE_STUDY, Status.NO_STUDIES])
    assert_array_equal(by_mask.k, [1, 0])
    assert np.isnan(by_mask.estimate[1])
    assert np.isnan(by_mask.df[1])


@pytest.mark.parametrize("tau2", [*ESTIMATORS, 0.0])
def test_no_study_at_all_is_said_and_no_row_at_all_gives_no_row(tau2: str | float) -> None:
    for absent in (
        combine([], [], tau2=tau2),
        combine([[0.1, 0.2]], [[np.inf, np.inf]], tau2=tau2),
    ):
        assert (absent.status == Status.NO_STUDIES).all()
        assert np.isnan(
            [absent.estimate, absent.se, absent.low, absent.high, absent.tau2, absent.q]
        ).all()
        assert (absent.k == 0).all()
    assert combine(np.empty((0, 3)), np.empty((0, 3)), tau2=tau2).estimate.shape == (0,)


def test_an_absent_study_may_hold_anything() -> None:
    found = combine([0.1, np.nan, 0.3], [0.1, np.inf, 0.2])
    there = combine([0.1, 0.3], [0.1, 0.2])
    assert_same(found, there)


def test_large_batches_are_worked_in_blocks() -> None:
    y, v = simulated(3, 3)
    many = 500_000
    found = combine(np.tile(y, (many // 3, 1)), np.tile(v, (many // 3, 1)), tau2="DL")
    small = combine(y, v, tau2="DL")
    assert_array_equal(found.estimate[-3:], small.estimate)


def test_a_function_or_a_number_may_stand_for_tau2() -> None:
    y, v = data_set("k3")
    fixed = combine(y, v, tau2=0.25)
    assert_same(fixed, combine(y, v, tau2=lambda y, v: np.full(y.shape[:-1], 0.25)))
    assert fixed.tau2 == 0.25


def test_results_have_the_leading_shape_of_the_mask() -> None:
    y, v = data_set("kap5")
    assert combine(y, v, mask=np.ones(5, dtype=bool)).estimate.shape == ()
    assert combine(y, v, mask=np.ones((2, 3, 5), dtype=bool)).estimate.shape == (2, 3)
    assert combine(y, v, tau2="DL", mask=np.ones((0, 5), dtype=bool)).estimate.shape == (0,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 95}, "level must lie between 0 and 1, a proportion: got 95; use 0.95 for 95 %"),
        ({"ci": "HKSJ"}, 'unknown interval "HKSJ"; use one of wald, t, hksj'),
        ({"tau2": "EM"}, 'unknown tau2 estimator "EM"'),
        ({"mask": [[True]]}, r"mask needs y and v of shape \(k,\)"),
    ],
)
def test_wrong_words(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        combine([0.1, 0.2], [0.1, 0.1], **options)  # type: ignore[arg-type]


# --- masks


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_masks_have_the_rows_they_name(k: int) -> None:
    assert masks.leave_one_out(k).sum() == k * (k - 1)
    pairs = masks.leave_two_out(k)
    assert len(pairs) == k * (k - 1) // 2
    assert len({tuple(row) for row in pairs}) == len(pairs)
    assert ((~pairs).sum(1) == 2).all()
    order = np.random.default_rng(k).permutation(k)
    steps = masks.cumulative(order)
    assert_array_equal(steps.sum(1), np.arange(1, k + 1))
    assert all(steps[i, order[i]] and not steps[:i, order[i]].any() for i in range(k))
    subsets = masks.all_subsets(k)
    assert len({tuple(row) for row in subsets}) == 2**k - 1
    assert masks.all_subsets(k, smallest=2).sum(1).min(initial=k + 1) >= min(2, k + 1)


def test_too_many_subsets_are_refused_with_their_size() -> None:
    with pytest.raises(ValueError, match=r"2\^30 subsets of 30 studies need 32 GB"):
        masks.all_subsets(30)


def test_the_core_says_what_it_does_not_have() -> None:
    from kapmeta import core

    with pytest.raises(AttributeError, match='kapmeta.core has no "nothing"'):
        core.nothing  # noqa: B018


def test_a_bca_bootstrap_is_a_call_on_a_batch() -> None:
    """SciPy's bootstrap over studies, all samples in one call, against its percentile, z0 and a
    written out here [1]_.

    .. [1] Efron B. Better bootstrap confidence intervals. J Am Stat Assoc 1987;82:171-185.
       https://doi.org/10.1080/01621459.1987.10478410
    """
    y, v = data_set("bcg")
    found = stats.bootstrap(
        (y, v),
        lambda y, v, axis: combine(y, v).estimate,
        paired=True,
        vectorized=True,
        n_resamples=4000,
        method="BCa",
        random_state=np.random.default_rng(11),
    )
    estimate, means = float(combine(y, v).estimate), found.bootstrap_distribution
    jackknife = combine(y, v, mask=masks.leave_one_out(13)).estimate
    u = jackknife.mean() - jackknife
    acceleration = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    z0 = stats.norm.ppf(((means < estimate).mean() + (means <= estimate).mean()) / 2)
    for limit, z in zip(found.confidence_interval, stats.norm.ppf([0.025, 0.975]), strict=True):
        share = stats.norm.cdf(z0 + (z0 + z) / (1 - acceleration * (z0 + z)))
        assert_allclose(limit, np.quantile(means, share), rtol=1e-10)
    pooled = combine(y, v, ci="hksj")
    assert_allclose(found.confidence_interval, [pooled.low, pooled.high], atol=0.15)


def test_a_permutation_interval_exists_at_the_very_level_its_smallest_p_value_allows() -> None:
    y, v = simulated(1, 6, seed=5)
    at, above = (
        combine(y[0], v[0], ci="permutation", level=level)
        for level in (1 - 2.0**-5, 1 - 2.0**-5 + 1e-6)
    )
    assert at.status == Status.OK
    assert np.isfinite([at.low, at.high]).all()
    assert above.status == Status.REFUSED


def test_a_module_that_cannot_load_says_which_one_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kapmeta import core

    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'scipy'", name="scipy")

    monkeypatch.setattr(core, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match="scipy"):
        core.anything  # noqa: B018

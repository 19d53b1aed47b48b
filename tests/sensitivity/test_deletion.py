"""Fewer studies: against metafor's leave1out, cumul, influence, baujat, gosh, and single refits."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kapmeta as km
from kapmeta.core import combine
from kapmeta.core.numerics import masks
from kapmeta.core.sensitivity import subsets
from kapmeta.sensitivity.deletion import baujat, cumulative, influence, leave_one_out, leave_two_out
from kapmeta.sensitivity.subsets import all_subsets
from tests.helpers.r_values import number, records

# metafor 5.1.12 on R 4.2.2, control=list(threshold=1e-15, tol=1e-14, maxiter=1e5): see the headers
# of the files.
DELETION = records("09_deletion")
GOSH = records("10_gosh")
COUNTS = {"events_t": "ai", "n_t": "n1i", "events_c": "ci", "n_c": "n2i"}
POOLING = {"rma.mh": km.mantel_haenszel, "rma.peto": km.peto}
SWEEPS = {"leave1out": leave_one_out, "influence": influence, "baujat": baujat}
COLUMNS = {
    "leave1out": {
        "estimate": "y",
        "se": "se",
        "pval": "p_value",
        "ci_lb": "y_low",
        "ci_ub": "y_high",
        "tau2": "tau2",
    },
    "influence": {
        "rstudent": "rstudent",
        "dffits": "dffits",
        "cook.d": "cook",
        "cov.r": "covariance_ratio",
        "hat": "hat",
        "dfbs": "dfbetas",
        "tau2.del": "tau2",
        "QE.del": "q",
    },
    "baujat": {"x": "contribution", "y": "influence"},
}
COLUMNS["cumul"] = COLUMNS["leave1out"] | {"Q": "q"}
COLUMNS["leave1out"] = COLUMNS["leave1out"] | {"Q": "q"}

DIVERGENT = {
    (
        "edge.k3_identical",
        "knha",
    ): "equal effects: Hartung-Knapp's interval has no width and is refused; metafor gives one",
    ("edge.homogeneous_Q0", "knha"): "the same where the studies left are equal",
}
KAP5 = pd.DataFrame(
    {
        "study": [
            "S1",
            "S2",
            "S3",
            "S4",
            "S5",
        ],  # methods 0.4: two of the trials are invented for tests
        "year": [1997, 2020, 2007, 2002, 2019],
        "evidence_level": [
            "primary_abstract",
            "tertiary_only",
            "registry",
            "press_conflict",
            "primary_full_text",
        ],
        "events_t": [73, 6, 13, 6, 12],
        "n_t": [111, 17, 26, 35, 27],
        "events_c": [24, 3, 6, 2, 0],
        "n_c": [100, 23, 27, 35, 28],
    }
)


def values(of: list[Any]) -> Any:
    return np.array([number(x) for x in of])


def pooled(record: dict[str, Any]) -> km.Pooled:
    inputs, settings = record["inputs"], record["settings"]
    if "model" in settings:
        frame = pd.DataFrame({ours: inputs[theirs] for ours, theirs in COUNTS.items()})
        frame.insert(0, "study", [f"trial {i + 1}" for i in range(len(frame))])
        options = {"measure": record["measure"]} if settings["model"] == "rma.mh" else {}
        return POOLING[settings["model"]](frame, **options)
    frame = pd.DataFrame({"y": inputs["yi"], "v": inputs["vi"]})
    frame.insert(0, "study", [f"trial {i + 1}" for i in range(len(frame))])
    effects = km.generic(frame, y="y", v="v")
    ci = "hksj" if settings["test"] == "knha" else "wald"
    if settings["method"] == "EE":
        return km.pool(effects, model="common", ci=ci)
    return km.pool(effects, tau2=settings["method"], ci=ci)


def compared(record: dict[str, Any]) -> str:
    """How one reference record fares; anything unexpected fails here."""
    word = record["settings"]["fun"].split("::")[1]
    reason = DIVERGENT.get((record["dataset"], record["settings"].get("test", "")))
    if reason and record["dataset"] == "edge.k3_identical":
        with pytest.raises(ValueError, match="does not exist"):
            pooled(record)
        return "divergent"
    main = pooled(record)
    present = [
        label for label, yes in zip(main.effects.labels, main.effects.present, strict=True) if yes
    ]
    table = (cumulative(main, by=present) if word == "cumul" else SWEEPS[word](main)).table
    rows = [
        int(label.split()[1]) - 1 for label in present
    ]  # a double zero says nothing to Peto's method: no row of ours
    size = float(np.nanmax(np.abs(main.effects.y)))
    for theirs, ours in COLUMNS[word].items():
        if theirs not in record["results"]:
            continue
        found, expected = table[ours].to_numpy(), values(record["results"][theirs])[rows]
        same = ~np.isnan(
            expected
        )  # metafor's Fisher scoring gave up there, and the analysis exists all the same
        if ours in ("q", "tau2"):
            same &= (table["k"] > 1).to_numpy()  # of one study metafor's are 0, ours do not exist
        if reason:
            same &= ~np.isnan(found)
        squared = size**2 if ours == "tau2" else size if ours == "y" else 1.0
        np.testing.assert_allclose(
            found[same], expected[same], rtol=1e-9, atol=1e-9 * squared, err_msg=f"{record}"[:200]
        )
    return "divergent" if reason else "compared"


def test_every_record_of_the_deletion_reference_is_accounted_for() -> None:
    fates = Counter(compared(record) for record in DELETION)
    assert sum(fates.values()) == len(DELETION) == 554
    assert fates == {"compared": 554 - fates["divergent"], "divergent": fates["divergent"]}
    assert fates["divergent"] == sum(
        (r["dataset"], r["settings"].get("test")) in DIVERGENT for r in DELETION
    )


@pytest.mark.parametrize("record", GOSH, ids=lambda r: f"{r['dataset']}-{r['settings']['method']}")
def test_all_subsets_agree_with_gosh(record: dict[str, Any]) -> None:
    frame = pd.DataFrame({"y": record["inputs"]["yi"], "v": record["inputs"]["vi"]})
    frame.insert(0, "study", [f"trial {i + 1}" for i in range(len(frame))])
    effects, method = km.generic(frame, y="y", v="v"), record["settings"]["method"]
    main = (
        km.pool(effects, model="common")
        if method == "FE"
        else km.pool(effects, tau2=method, ci="wald")
    )
    found, expected = all_subsets(main), record["results"]
    assert found.codes.size == expected["n_subsets"]
    sizes = Counter(found.found.k.tolist())
    assert sizes == {int(k): n for k, n in expected["sizes_table"].items()}
    q = np.nan_to_num(found.found.q)  # metafor's Q and tau2 of one study are 0, ours do not exist
    tau2 = np.nan_to_num(found.found.tau2)
    for name, got in {
        "estimate": found.found.estimate,
        "QE": q,
        "tau2": tau2,
        "I2": 100 * found.i2(),
    }.items():
        quantiles = np.quantile(got, [0, 0.25, 0.5, 0.75, 1])
        summary = [got.mean(), got.std(ddof=1), *quantiles]
        wanted = [
            expected[name][key] for key in ("mean", "sd", "min", "q25", "median", "q75", "max")
        ]
        np.testing.assert_allclose(summary, wanted, rtol=1e-9, atol=1e-10 * np.abs(got).max())
    for subset in expected["first_subsets"]:
        row = int(np.flatnonzero((found.masks == subset["incl"]).all(-1))[0])
        assert found.found.estimate[row] == pytest.approx(subset["estimate"], rel=1e-12)


MAINS = {
    "random": lambda t: km.pool(km.risk_ratio(t)),
    "common": lambda t: km.pool(km.risk_ratio(t), model="common"),
    "PM, variance": lambda t: km.pool(km.risk_ratio(t), tau2="PM", ci="hksj-variance"),
    "mantel-haenszel": km.mantel_haenszel,
    "peto": km.peto,
}


@pytest.mark.parametrize("name", MAINS)
def test_masks_are_refits(name: str) -> None:
    main = MAINS[name](KAP5)
    sweep = leave_one_out(main).table.set_index("left_out")
    for study in KAP5["study"]:
        again = MAINS[name](KAP5[KAP5["study"] != study])
        got = sweep.loc[study, ["y", "y_low", "y_high", "p_value", "q"]].to_numpy(dtype=float)
        np.testing.assert_allclose(
            got, [again.estimate, again.low, again.high, again.p_value, again.q], rtol=1e-12
        )
    pair = leave_two_out(main).table.set_index(["left_out", "left_out_too"]).loc[("S2", "S5")]
    again = MAINS[name](KAP5[KAP5["study"].isin(["S1", "S3", "S4"])])
    np.testing.assert_allclose(
        [pair["y"], pair["y_high"]], [again.estimate, again.high], rtol=1e-12
    )
    whole = all_subsets(main, smallest=3)
    row = int(np.flatnonzero((whole.masks == [1, 0, 1, 1, 0]).all(-1))[0])
    assert whole.found.low[row] == pytest.approx(again.low, rel=1e-12)
    last = cumulative(main, by="precision").table.iloc[-1]
    np.testing.assert_allclose([last["y"], last["y_low"]], [main.estimate, main.low], rtol=1e-12)


def test_values_of_the_specification() -> None:
    sweep = leave_one_out(km.pool(km.risk_ratio(KAP5), tau2="PM", ci="hksj-variance")).table
    np.testing.assert_allclose(
        sweep["y"], [1.01386286, 1.01066971, 1.04642904, 1.00566226, 0.97997287], rtol=1e-8
    )
    np.testing.assert_allclose(sweep["y_low"], [0.0365, 0.4772, 0.4852, 0.4787, 0.4610], atol=5e-5)
    subset = all_subsets(km.pool(km.risk_ratio(KAP5), model="common")).to_frame()
    row = subset[subset["S1"] & ~subset["S2"] & subset["S3"] & ~subset["S4"] & subset["S5"]].iloc[0]
    np.testing.assert_allclose([row["y"], row["q"]], [1.0064201960, 2.7408416567], rtol=1e-9)


def test_the_order_of_a_cumulative_analysis() -> None:
    main = km.pool(km.risk_ratio(KAP5))
    assert cumulative(main).table["joined"].tolist() == ["S1", "S4", "S3", "S5", "S2"]
    assert cumulative(main, by="evidence_level").table["joined"].tolist() == [
        "S5",
        "S1",
        "S3",
        "S4",
        "S2",
    ]
    assert cumulative(main, by="precision").table["joined"].tolist() == [
        "S1",
        "S3",
        "S2",
        "S4",
        "S5",
    ]
    assert (
        cumulative(main, by=["S5", "S4", "S3", "S2", "S1"]).to_frame()["analysis"].tolist()[1]
        == "+ S4"
    )
    with pytest.raises(
        ValueError, match='by="months" is no column of the trials; use "precision" or one of: study'
    ):
        cumulative(main, by="months")
    with pytest.raises(
        ValueError, match="by must name every study pooled once: S1, S2, S3, S4, S5; got S1"
    ):
        cumulative(main, by=["S1"])
    gap = km.pool(km.risk_ratio(KAP5.assign(year=[1997, None, 2007, 2002, 2019])))
    with pytest.raises(ValueError, match='by="year" is empty for "S2"'):
        cumulative(gap)
    odd = km.pool(km.risk_ratio(KAP5.assign(evidence_level="hearsay")))
    with pytest.raises(
        ValueError, match='evidence_level is not known in row 1 .*"hearsay"; use one of: primary'
    ):
        cumulative(odd, by="evidence_level")


def test_too_few_studies_are_refused() -> None:
    two = km.pool(km.risk_ratio(KAP5.iloc[:2]))
    one = km.pool(km.risk_ratio(KAP5.iloc[:1]))
    for sweep in (leave_one_out, cumulative, all_subsets, baujat):
        with pytest.raises(ValueError, match="needs two studies or more"):
            sweep(one)
    for sweep in (influence, leave_two_out):
        with pytest.raises(ValueError, match="needs three studies or more: 2 were pooled"):
            sweep(two)
    with pytest.raises(TypeError, match="pooled must be a result of pool"):
        leave_one_out(km.risk_ratio(KAP5))


def test_too_many_subsets_are_refused_with_their_size_or_sampled() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"study": [f"t{i}" for i in range(30)], "y": rng.normal(size=30), "v": np.ones(30)}
    )
    main = km.pool(km.generic(frame, y="y", v="v"), model="common")
    with pytest.raises(
        ValueError,
        match=r"2\^30 subsets of 30 studies and their results would take 118.1 GB; draw some",
    ):
        all_subsets(main)
    drawn = all_subsets(main, sample=500, smallest=5)
    assert drawn.sampled
    assert drawn.codes.size == 500
    assert drawn.found.k.min() >= 5
    np.testing.assert_array_equal(drawn.found.k, drawn.masks.sum(-1))
    np.testing.assert_array_equal(drawn.codes, all_subsets(main, sample=500, smallest=5).codes)
    assert "a random sample of the subsets, 500" in drawn.summary()
    with pytest.raises(
        ValueError, match="smallest must lie between 1 and the 30 studies pooled: got 31"
    ):
        all_subsets(main, smallest=31)


@given(st.integers(0, 10_000), st.sampled_from([1e-6, 1.0, 1e6]))
def test_subset_sums_are_masks(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    y, v = scale * rng.normal(2, 1, 6), scale**2 * rng.uniform(0.01, 2, 6)
    fast, slow = subsets.common_effects(y, v), combine(y, v, tau2=0.0, mask=masks.all_subsets(6))
    np.testing.assert_allclose(fast.estimate, slow.estimate, rtol=1e-12)
    np.testing.assert_allclose(fast.se, slow.se, rtol=1e-12)
    np.testing.assert_allclose(fast.q, slow.q, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        [fast.low, fast.high], [slow.low, slow.high], rtol=1e-12, atol=1e-12 * scale
    )
    for name in ("df", "tau2", "k", "status"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))


def test_twenty_studies_in_all_subsets_take_a_moment() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"study": [f"t{i}" for i in range(20)], "y": rng.normal(size=20), "v": np.ones(20)}
    )
    main = km.pool(km.generic(frame, y="y", v="v"), model="common")
    start = time.perf_counter()
    found = all_subsets(main)
    assert time.perf_counter() - start < 3.0  # 0.1 s alone; a shared machine is slow now and then
    assert found.codes.size == 2**20 - 1


def test_sweeps_slice_like_tables_and_tell_themselves() -> None:
    main = km.pool(km.risk_ratio(KAP5))
    frame = influence(main).to_frame()
    assert frame.loc[frame["left_out"] == "S1", "estimate"].item() > 1
    assert "corrected effects" not in influence(main).summary()
    note = "residuals use the trials' corrected effects"
    assert note in baujat(km.mantel_haenszel(KAP5)).summary()
    three = influence(km.pool(km.risk_ratio(KAP5.iloc[:3])))
    assert "with 3 studies these are for display; no threshold applies" in three.summary()
    subset = all_subsets(main)
    assert repr(subset) == "Subsets(31 of 5 studies, RR)"
    assert "excludes 1 in" in subset.alt_text()
    assert subset._repr_html_().startswith("<p>Subsets of 5 studies (all subsets, 31): RR ")
    assert set(KAP5["study"]) <= set(subset.to_frame())


@pytest.mark.parametrize("model", ["conditional", "binomial-normal"])
def test_leave_one_out_of_an_exact_model_is_a_refit(model: str) -> None:
    trials = km.load_example("smoking").query("events_c < 10")
    main = km.pool_exact(trials, model=model, measure="OR")
    sweep = km.leave_one_out(main).table
    for i, row in enumerate(trials.index):
        again = km.pool_exact(trials.drop(index=row), model=model, measure="OR")
        np.testing.assert_allclose(
            [sweep.loc[i, "y"], sweep.loc[i, "y_low"]], [again.estimate, again.low], rtol=1e-12
        )


def test_an_exact_model_without_an_answer_for_a_subset_says_so() -> None:
    trials = km.load_example("smoking").query("events_c < 3")
    main = km.pool_exact(trials, model="conditional", measure="OR")
    found = main.refit(
        np.eye(len(trials), dtype=bool)
    )  # each trial alone: one has no event in its control arm
    assert found.k.tolist() == [1] * len(trials)


def test_a_study_left_alone_has_the_interval_it_is_shown_with() -> None:
    main = km.pool(km.risk_ratio(KAP5.iloc[[0, 2]], interval="koopman"))
    own = km.pool(km.risk_ratio(KAP5.iloc[[2]], interval="koopman"))
    columns = ["y", "y_low", "y_high", "p_value"]
    expected = [own.estimate, own.low, own.high, own.p_value]
    np.testing.assert_allclose(
        leave_one_out(main).table.loc[0, columns].astype(float), expected, rtol=1e-12
    )
    assert own.method.ci == "koopman"
    three = km.pool(km.risk_ratio(KAP5.iloc[[0, 2, 3]], interval="koopman"))
    np.testing.assert_allclose(
        leave_two_out(three).table.loc[1, columns].astype(float), expected, rtol=1e-12
    )
    by = ["S3", "S1", "S4"]
    history = cumulative(three, by=by).table
    np.testing.assert_allclose(history.loc[0, columns].astype(float), expected, rtol=1e-12)
    np.testing.assert_allclose(
        history.loc[2, columns[:3]].astype(float), [three.estimate, three.low, three.high]
    )
    zero = cumulative(
        km.pool(km.risk_ratio(KAP5, interval="koopman")), by=["S5", "S1", "S2", "S3", "S4"]
    ).table
    assert (
        zero.loc[0, "y"] == zero.loc[0, "y_high"] == np.inf
    )  # no event among the controls, and none invented
    assert zero.loc[0, "y_low"] > 0


@pytest.mark.parametrize(
    "model, measure", [("binomial-normal", "RR"), ("conditional", "OR"), ("beta-binomial", "RD")]
)
def test_every_deletion_serves_exact_models(model: str, measure: str) -> None:
    trials = KAP5.iloc[:4]
    main = km.pool_exact(trials, model=model, measure=measure)

    def again(*names: str) -> km.Pooled:
        return km.pool_exact(trials[trials["study"].isin(names)], model=model, measure=measure)

    pair = leave_two_out(main).table.set_index(["left_out", "left_out_too"]).loc[("S1", "S4")]
    found = again("S2", "S3")
    np.testing.assert_allclose(
        [pair["y"], pair["y_low"], pair["q"]], [found.estimate, found.low, found.q], rtol=1e-12
    )
    step = cumulative(main, by=["S3", "S4", "S1", "S2"]).table.iloc[2]
    found = again("S1", "S3", "S4")
    np.testing.assert_allclose(
        [step["y"], step["y_high"]], [found.estimate, found.high], rtol=1e-12
    )
    moved = influence(main).table.set_index("left_out").loc["S2"]
    assert moved["cook"] == pytest.approx(
        ((main.estimate - found.estimate) / main.se) ** 2, rel=1e-12
    )
    assert moved["q"] == pytest.approx(found.q, rel=1e-12)
    assert baujat(main).table["influence"].notna().all()
    whole = all_subsets(main)
    row = int(np.flatnonzero((whole.masks == [1, 0, 1, 1]).all(-1))[0])
    np.testing.assert_allclose(
        [whole.found.estimate[row], whole.found.q[row]], [found.estimate, found.q], rtol=1e-12
    )
    several = whole.found.k > 1
    assert np.isfinite(whole.i2()[several & ~np.isnan(whole.found.q)]).all()


def test_a_model_of_two_trials_gives_nothing_for_one() -> None:
    found = leave_one_out(km.pool_exact(KAP5.iloc[[0, 2]], model="CM.EL", measure="OR"))
    assert found.table[["y", "y_low", "y_high"]].isna().all(axis=None)
    assert found.table["k"].tolist() == [1, 1]


def test_models_fitted_one_by_one_are_not_fitted_for_hours() -> None:
    many = pd.concat([KAP5.iloc[[0, 2, 3]]] * 5, ignore_index=True).assign(
        study=[f"t{i}" for i in range(15)]
    )
    main = km.pool_exact(many, model="conditional")
    with pytest.raises(
        ValueError, match="fitted subset by subset, some 0.04 s each: 32767 subsets would take 0.4"
    ):
        all_subsets(main)
    assert all_subsets(main, sample=5).codes.size == 5


def test_subsets_with_an_infinite_ratio_are_summarised() -> None:
    apart = pd.DataFrame(
        {
            "study": ["A", "B"],
            "events_t": [20, 0],
            "n_t": [20, 30],
            "events_c": [0, 30],
            "n_c": [20, 30],
        }
    )
    told = km.all_subsets(km.mantel_haenszel(apart)).summary()
    assert "RR 0.00 to ∞, median 0.67" in told


def in_order(**columns: Any) -> list[str]:
    pooled = km.pool(km.risk_ratio(KAP5.assign(**columns)))
    (name,) = columns
    return cumulative(pooled, by=name).to_frame()["joined"].tolist()


def test_numbers_written_as_text_are_in_the_order_of_numbers() -> None:
    right = in_order(months=[9, 10, 100, 12, 3])
    assert right == ["S5", "S1", "S2", "S4", "S3"]
    for months in (["9", "10", "100", "12", "3"], ["9", 10, " 100", 12.0, "3"]):
        assert in_order(months=months) == right
    with pytest.raises(ValueError, match="months mixes numbers and text in row 3"):
        in_order(months=["9", "10", "ten", "12", "3"])


def test_dates_categories_and_words_have_their_own_order() -> None:
    dates = pd.to_datetime(["2020-05-01", "2019-01-01", "2024-01-01", "2021-01-01", "2018-01-01"])
    assert in_order(first_read=list(dates)) == ["S5", "S2", "S1", "S4", "S3"]
    dose = pd.Categorical(
        ["high", "low", "high", "none", "low"], categories=["none", "low", "high"]
    )
    assert in_order(dose=dose) == ["S4", "S2", "S5", "S1", "S3"]
    assert in_order(word=list("ecadb")) == ["S3", "S5", "S2", "S4", "S1"]
    assert in_order(risk_of_bias=["High", " low", "some concerns", "LOW", "high"]) == [
        "S2",
        "S4",
        "S3",
        "S1",
        "S5",
    ]


def test_labels_in_order_are_compared_as_names() -> None:
    pooled = km.pool(km.risk_ratio(KAP5))
    order = ["S5 ", "S1", "S2", "S3", "S4"]
    assert cumulative(pooled, by=order).to_frame()["joined"][0] == "S5"
    with pytest.raises(TypeError, match="by must be a column of the trials or labels in order"):
        cumulative(pooled, by=3)  # type: ignore[arg-type]


def test_sweeps_of_one_group_have_no_arms_and_no_test() -> None:
    rows = pd.DataFrame(
        {"study": list("ABCDE"), "events": [2, 3, 0, 5, 9], "n": [20, 30, 25, 22, 40]}
    )
    pooled = km.pool(km.proportion(rows, event="death"))
    for sweep in (leave_one_out(pooled), influence(pooled), cumulative(pooled, by="precision")):
        assert sweep.to_frame()["p_value"].isna().all()
        assert sweep.to_frame()[["low", "high"]].stack().between(0, 1).all()
        assert "against" not in sweep.methods_text()
        assert "excludes" not in sweep.summary()

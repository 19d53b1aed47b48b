"""Meta-regression with labels: against R and its equations, and what it refuses."""

from __future__ import annotations

import builtins
import gzip
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.moderators.design_matrix import design_of
from kapmeta.moderators.regression import likelihood_ratio, meta_regression
from kapmeta.moderators.subgroup_pooling import subgroups
from tests.helpers.places import REFERENCE

# metafor 5.1.12 and meta 8.4.0 on R 4.2.2: tests/reference/08_metareg_subgroup.json.gz
VALUES = REFERENCE / "08_metareg_subgroup.json.gz"
RECORDS: list[dict[str, Any]] = json.loads(gzip.decompress(VALUES.read_bytes()))["records"]
SUBGROUPS = [i for i, r in enumerate(RECORDS) if r["settings"]["fun"].startswith("meta::")]
MEASURES = {"RR": km.risk_ratio, "OR": km.odds_ratio, "RD": km.risk_difference}


def close(found: Any, reference: Any, rtol: float = 1e-9, atol: float = 0.0) -> None:
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(reference, float), rtol=rtol, atol=atol
    )


def bcg() -> km.Effects:
    inputs, names = RECORDS[2]["inputs"], [f"trial {i + 1}" for i in range(13)]
    year = next(r["inputs"]["year"] for r in RECORDS if r["settings"].get("mods") == "~ablat+year")
    alloc = next(r["inputs"]["alloc"] for r in RECORDS if r["settings"].get("mods") == "~alloc")
    frame = pd.DataFrame(
        {"study": names, "y": inputs["yi"], "v": inputs["vi"], "ablat": inputs["ablat"]}
    )
    return km.generic(frame.assign(year=year, alloc=alloc), y="y", v="v", measure="RR")


def kap5() -> km.Effects:
    """Methods 0.4: two of the trials are invented for tests."""
    trials = pd.DataFrame(
        {
            "study": ["S1", "S2", "S3", "S4", "S5"],
            "substance": ["alcohol", "alcohol", "opioid", "opioid", "cocaine"],
            "events_t": [73, 6, 13, 6, 12],
            "n_t": [111, 17, 26, 35, 27],
            "events_c": [24, 3, 6, 2, 0],
            "n_c": [100, 23, 27, 35, 28],
        }
    )
    return km.risk_ratio(trials)


BCG = bcg()


def reference_effects(record: dict[str, Any]) -> km.Effects:
    inputs = record["inputs"]
    names = [f"trial {i + 1}" for i in range(len(inputs["subgroup"]))]
    if "yi" in inputs:
        frame = pd.DataFrame({"study": names, "y": inputs["yi"], "v": inputs["vi"]})
        return km.generic(frame.assign(subgroup=[str(g) for g in inputs["subgroup"]]), y="y", v="v")
    columns = {"events_t": "ai", "n_t": "n1i", "events_c": "ci", "n_c": "n2i"}
    frame = pd.DataFrame(
        {"study": names, **{ours: inputs[theirs] for ours, theirs in columns.items()}}
    )
    return MEASURES[record["measure"]](frame.assign(subgroup=inputs["subgroup"]))


@pytest.mark.parametrize("i", SUBGROUPS)
def test_subgroups_agree_with_meta(i: int) -> None:
    record = RECORDS[i]
    options, expected = record["settings"], record["results"]
    effects = reference_effects(record)
    scaled = options.get("method.random.ci") == "HK"
    common = options["tau.common"]
    found = subgroups(
        effects,
        "subgroup",
        tau2=options["method.tau"],
        ci="hksj" if scaled else "wald",
        common_tau2=common,
        prediction="t",
    )
    order = [str(name) for name in expected["subgroups"]]
    groups = [found[name] for name in order]
    fields = {
        "estimate": "TE_random_w",
        "se": "seTE_random_w",
        "low": "lower_random_w",
        "high": "upper_random_w",
    }
    fields |= {"k": "k_w", "q": "Q_w", "tau2": "tau2_w"}
    for ours, theirs in fields.items():
        close([getattr(group, ours) for group in groups], expected[theirs])
    # meta's prediction interval beside Hartung-Knapp subgroups has the classic standard error too
    if not scaled:
        for ours, theirs in {
            "prediction_low": "lower_predict_w",
            "prediction_high": "upper_predict_w",
        }.items():
            close([getattr(group, ours) for group in groups], expected[theirs], rtol=1e-8)
    close(
        [found.overall.estimate, found.overall.tau2],
        [expected["TE_random"][0], expected["tau2"][0]],
    )
    if (
        common and options["method.tau"] == "REML"
    ):  # with DL meta shows Jackson's interval instead of the Q-profile one
        close(found.tau2, expected["tau2_resid"][0])
        limits = [expected[f"{side}_tau2_resid"][0] for side in ("lower", "upper")]
        close(
            [groups[0].tau2_low, groups[0].tau2_high], limits, atol=1.3e-4
        )  # R's uniroot stops at 1.2e-4
    assert found.df_between == expected["df_Q_b_random"][0]
    if scaled:  # theirs takes the scaled standard errors: with them the formula gives their number
        y, w = (np.array([getattr(g, name) for g in groups]) for name in ("estimate", "se"))
        w = 1 / w**2
        close((w * (y - (w * y).sum() / w.sum()) ** 2).sum(), expected["Q_b_random"][0])
        assert abs(found.q_between / expected["Q_b_random"][0] - 1) > 1e-3
    else:
        close(
            [found.q_between, found.p_between],
            [expected["Q_b_random"][0], expected["pval_Q_b_random"][0]],
        )
    if options.get("method", "Inverse") == "Inverse":
        fixed = subgroups(effects, "subgroup", model="common")
        close([fixed[name].estimate for name in order], expected["TE_common_w"])
        close([fixed[name].se for name in order], expected["seTE_common_w"])
        close(
            [fixed.q_between, fixed.p_between],
            [expected["Q_b_common"][0], expected["pval_Q_b_common"][0]],
            rtol=1e-8,
        )


def test_worked_values_of_the_specification() -> None:
    """Methods 8.2: KAP5 by substance and BCG by allocation."""
    found = subgroups(kap5(), "substance")
    estimates = [found[name].estimate for name in ("alcohol", "opioid", "cocaine")]
    close(estimates, [1.00698875, 0.87311628, 3.25396714], rtol=5e-9)
    close(found.standard_errors, [0.18251327, 0.36298232, 1.41767519], rtol=3e-8)
    close([found.q_between, found.p_between, found.tau2], [2.64789277, 0.26608, 0.0], rtol=2e-5)
    assert found.df_between == 2
    assert found["cocaine"].k == 1
    assert found["cocaine"].method.model == "single"
    allocation = subgroups(BCG, "alloc")
    close(
        [allocation.tau2, allocation.q_between, allocation.p_between],
        [0.361503664, 1.767511402, 0.413228],
        rtol=5e-7,
    )
    close([allocation.f_between, allocation.f_p_value], [0.966220845, 0.413384], rtol=2e-6)
    assert allocation.f_df == 10


def test_hartung_knapp_between_subgroups_is_the_omnibus_test_of_the_regression() -> None:
    between, regressed = subgroups(BCG, "alloc"), meta_regression(BCG, ["alloc"], ci="hksj")
    assert regressed.omnibus is not None
    close(
        [between.f_between, between.f_p_value],
        [regressed.omnibus.statistic, regressed.omnibus.p_value],
    )
    wald = meta_regression(BCG, ["alloc"], ci="wald")
    assert wald.omnibus is not None
    close([between.q_between, between.p_between], [wald.omnibus.statistic, wald.omnibus.p_value])


def test_subgroups_show_pairs_limits_and_single_trials() -> None:
    found = subgroups(kap5(), "substance")
    pairs = found.pairs()
    first, second = found["alcohol"].estimate, found["opioid"].estimate
    close(pairs["estimate"][0], np.exp(first - second))
    close(pairs["se"][0], np.hypot(*found.standard_errors[:2]))
    text = found.summary()
    assert "next to no power" in text
    assert "cannot distinguish" in text
    assert "cocaine: one trial" in text
    assert "Wald" in text
    assert "Hartung-Knapp" in text
    frame = found.to_frame()
    assert frame["substance"].tolist() == ["alcohol", "opioid", "cocaine", "overall"]
    close(frame["estimate"][0], np.exp(found["alcohol"].estimate))
    assert len(found) == 3
    assert repr(found) == "Subgroups(substance: alcohol k=2, opioid k=2, cocaine k=1)"
    assert "<table" in found._repr_html_()
    assert "common to all" in found.methods_text()
    assert found.alt_text() == text
    own = subgroups(kap5(), "substance", common_tau2=False)
    assert "of their own" in own.methods_text()
    assert "its own between-study variance" in own.summary()
    assert np.isnan(own.f_between)
    given = subgroups(kap5(), ["x", "x", "y", "y", "y"])
    assert list(given.groups) == ["x", "y"]


def test_subgroups_refuse_what_cannot_be_compared() -> None:
    effects = kap5()
    with pytest.raises(
        ValueError, match='no column "drug" among the trials; there are: study, substance'
    ):
        subgroups(effects, "drug")
    with pytest.raises(ValueError, match='subgroup has one level, "a", in all studies'):
        subgroups(effects, ["a"] * 5)
    with pytest.raises(ValueError, match='subgroup is empty in row 2 \\("S2"\\): give its value'):
        subgroups(effects, ["a", None, "b", "b", "b"], missing="raise")
    with pytest.raises(TypeError, match="by must be a column of the trials or one subgroup per"):
        subgroups(effects, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one value per study: got 2 values for 5 studies"):
        subgroups(effects, ["a", "b"])
    with pytest.raises(ValueError, match='unknown subgroup "tobacco"'):
        subgroups(effects, "substance")["tobacco"]
    with pytest.raises(ValueError, match='unknown model "mixed"'):
        subgroups(effects, "substance", model="mixed")
    each = subgroups(effects, ["a", "b", "c", "d", "e"])
    assert np.isnan(each.tau2)


def test_regression_describes_itself() -> None:
    found = meta_regression(BCG, ["ablat"], ci="hksj")
    frame = found.to_frame()
    assert frame["term"].tolist() == ["intercept", "ablat"]
    close(frame["estimate"], np.exp(found.estimate))  # a ratio of risk ratios per degree
    close(found.r2, 0.7562662181161525)
    close([found.i2, found.h2], [0.68391224838188, 3.1636784243640834])
    text = found.summary()
    assert "coefficients as ratio per unit" in text
    assert "F on 1 and 11 df = 12.59" in text
    assert "R² = 76 %" in text
    assert repr(found) == "MetaRegression(RR ~ ablat, k=13)"
    assert "Hartung-Knapp" in found.methods_text()
    assert "<table" in found._repr_html_()
    assert found.alt_text() == text
    assert found.k == 13
    assert found.q_df == 11
    assert found.covariance.shape == (2, 2)
    assert (found.low < found.estimate).all()
    assert (found.high > found.estimate).all()
    assert (found.df == 11).all()
    close(found.q, 30.733090010749258)
    studies = found.studies()
    close(studies["residual"], studies["y"] - studies["fitted"])
    assert {"cook", "dffits", "tau2_without", "dfbetas ablat"} <= set(studies.columns)
    left = found.leave_one_out()
    assert len(left) == 26
    assert left["left_out"][0] == "trial 1"
    few = meta_regression(BCG, ["ablat", "year"])
    assert "too few for claims" in few.summary()
    common = meta_regression(BCG, ["ablat"], model="common")
    close(common.r2, 0.7797651921434007)
    close(common.i2, 0.642079595766237)
    assert "No between-study variance is assumed" in common.summary()
    assert np.isnan(common.tau2_low)
    assert "between-study variance" not in common.methods_text()
    assert common.studies().shape[0] == 13


def test_i2_and_r2_agree_with_metafor() -> None:
    for record in RECORDS:
        settings, expected = record["settings"], record["results"].get("z")
        if settings["fun"] != "metafor::rma.uni" or expected is None:
            continue
        inputs = record["inputs"]
        names = [f"s{i}" for i in range(len(inputs["yi"]))]
        effects = km.generic(
            pd.DataFrame({"study": names, "y": inputs["yi"], "v": inputs["vi"]}), y="y", v="v"
        )
        design = pd.DataFrame(inputs["X"], columns=inputs["X_cols"])
        if settings["method"] == "EE":
            found = meta_regression(effects, design, model="common", ci="wald", intercept=False)
        else:
            found = meta_regression(
                effects, design, tau2=settings["method"], ci="wald", intercept=False
            )
        close([100 * found.i2, found.h2], [expected["I2"], expected["H2"]], atol=1e-9)
        if expected["R2"] is not None:
            loose = (
                "warnings" in expected
            )  # there metafor's model without moderators stopped at its default tolerance
            close(100 * found.r2, expected["R2"], rtol=1e-7 if loose else 1e-8, atol=1e-9)
        close(found.q_p_value, expected["QEp"], rtol=1e-8)
        close([found.loglik, found.loglik_restricted], [expected["ll_ML"], expected["ll_REML"]])


def test_columns_formula_and_matrix_are_the_same_regression() -> None:
    pytest.importorskip("formulaic")
    columns = meta_regression(BCG, ["ablat", "alloc"])
    formula = meta_regression(BCG, "~ ablat + alloc")
    matrix = meta_regression(BCG, columns.design.matrix[:, 1:])
    for other in (formula, matrix):
        close(other.estimate, columns.estimate, rtol=1e-8)
        close(other.tau2, columns.tau2, rtol=1e-8)
    assert (
        formula.names
        == columns.names
        == ("intercept", "ablat", "alloc[random]", "alloc[systematic]")
    )
    assert matrix.names == ("intercept", "x1", "x2", "x3")
    means = meta_regression(BCG, "~ 0 + alloc", ci="wald")
    by_columns = meta_regression(BCG, ["alloc"], intercept=False, ci="wald")
    close(means.estimate, by_columns.estimate)
    close(
        means.estimate,
        [subgroups(BCG, "alloc")[name].estimate for name in ("alternate", "random", "systematic")],
    )
    close(means.r2, formula_r2(BCG))
    curve = meta_regression(BCG, "ablat + I(ablat**2)", ci="wald")
    close(
        curve.estimate,
        next(
            r["results"]["z"]["beta"]
            for r in RECORDS
            if r["settings"].get("mods") == "~ablat+I(ablat^2)"
        ),
    )
    new = {"ablat": [10.0, 40.0]}
    close(
        curve.predict(new)["y"],
        np.column_stack([np.ones(2), new["ablat"], np.square(new["ablat"])]) @ curve.estimate,
    )
    coded = meta_regression(BCG, "~ C(alloc)")
    close(coded.estimate, meta_regression(BCG, ["alloc"]).estimate)
    with pytest.raises(ValueError, match='alloc has no level "blind" in the fit'):
        coded.predict({"alloc": ["blind"]})
    alone = meta_regression(BCG, "~ 1", ci="hksj")
    assert alone.omnibus is None
    assert "No moderator is tested jointly" in alone.summary()
    close(alone.estimate[0], km.pool(BCG, ci="hksj").estimate)
    close(alone.permutation(draws=10).arrangements, 2**13)


def test_predictions_and_contrasts() -> None:
    found = meta_regression(BCG, ["alloc"], ci="hksj")
    rows = found.predict({"alloc": ["random", "alternate"]})
    groups = [subgroups(BCG, "alloc")[name].estimate for name in ("random", "alternate")]
    close(rows["y"], groups)
    close(rows["estimate"], np.exp(groups))
    assert (rows["prediction_low"] < rows["low"]).all()
    difference = found.contrast({"alloc[random]": 1, "alloc[systematic]": -1})
    first, second = found.estimate[1], found.estimate[2]
    close(difference["y"], first - second)
    close(difference["estimate"], np.exp(first - second))
    flat = found.contrast({"alloc[random]": 1})
    close([flat["p_value"], flat["se"]], [found.p_value[1], found.se[1]])
    with pytest.raises(ValueError, match='unknown coefficient "alloc"'):
        found.contrast({"alloc": 1})
    with pytest.raises(
        ValueError,
        match='alloc has no level "blind" in the fit; it has: alternate, random, systematic',
    ):
        found.predict({"alloc": ["blind"]})
    with pytest.raises(ValueError, match='data has no column "alloc"'):
        found.predict({"ablat": [1]})
    with pytest.raises(ValueError, match='unknown prediction interval "x"'):
        found.predict({"alloc": ["random"]}, prediction="x")
    careful = meta_regression(BCG, ["ablat"], ci="kr")
    close(careful.contrast({"ablat": 1})["df"], careful.df[1])
    assert careful.omnibus is not None
    close(careful.omnibus.p_value, careful.p_value[1], rtol=1e-8)
    assert meta_regression(BCG, ["ablat", "year"], ci="kr").omnibus is None
    assert careful.variance_inflation().tolist() == [pytest.approx(1.0)]
    permuted = careful.permutation(draws=50, rng=3)
    assert permuted.arrangements == 51
    assert permuted.p_values.tolist() == careful.permutation(draws=50, rng=3).p_values.tolist()


def test_likelihood_ratio_agrees_with_metafor() -> None:
    expected = next(
        r["results"] for r in RECORDS if r["settings"]["fun"] == "metafor::anova.rma LRT"
    )
    full = meta_regression(BCG, ["ablat", "year"], tau2="ML")
    reduced = meta_regression(BCG, np.ones((13, 1)), tau2="ML")
    found = likelihood_ratio(full, reduced)
    close(
        [found["statistic"], found["p_value"], 100 * found["r2"]],
        [expected["LRT"], expected["pval"], expected["R2"]],
    )
    close([full.loglik, reduced.loglik], [expected["ll_f"], expected["ll_r"]])
    with pytest.raises(ValueError, match='both fits need tau2="ML": got REML and ML'):
        likelihood_ratio(meta_regression(BCG, ["ablat"]), reduced)
    with pytest.raises(ValueError, match="must be some of those of full"):
        likelihood_ratio(
            meta_regression(BCG, ["ablat"], tau2="ML"), meta_regression(BCG, ["year"], tau2="ML")
        )
    with pytest.raises(ValueError, match="of the same studies"):
        likelihood_ratio(full, meta_regression(BCG.select(np.arange(13) > 0), ["year"], tau2="ML"))


def formula_r2(effects: km.Effects) -> float:
    """R2 of the same model with an intercept: it does not depend on the coding."""
    return meta_regression(effects, ["alloc"]).r2


def with_column(**columns: list[Any]) -> km.Effects:
    frame = pd.DataFrame(
        {
            "study": list("ABCDEF"),
            "y": [0.1, 0.5, 0.2, 0.9, 0.4, 0.7],
            "v": [0.1, 0.2, 0.1, 0.3, 0.2, 0.1],
        }
    )
    return km.generic(frame.assign(**columns), y="y", v="v")


@pytest.mark.parametrize(
    ("columns", "moderators", "message"),
    [
        ({"m": [3.0] * 6}, ["m"], 'moderator "m" is constant: it is 3 in all 6 studies'),
        ({"m": [1, 2, np.inf, 4, 5, 6]}, ["m"], 'moderator m is infinite in row 3 \\("C"\\)'),
        (
            {"m": ["1", "2", "3", "4", "five", "6"]},
            ["m"],
            'm mixes numbers and text in row 5 \\("E"\\): m = .five.; give a number',
        ),
        ({"m": [1, 2, 3, 4, "five", 6]}, ["m"], 'm mixes numbers and text in row 5 \\("E"\\)'),
        (
            {"m": list(pd.date_range("2020", periods=6))},
            ["m"],
            'm is a date in row 1 \\("A"\\) .and 5 more.: m = 2020-01-01 00:00:00; give a number',
        ),
        (
            {"a": [1, 2, 3, 4, 5, 6], "b": [11, 21, 31, 41, 51, 61]},
            ["a", "b"],
            (
                'moderators are collinear: "b" is given by "a" in these 6 studies; leave one of'
                " them out"
            ),
        ),
        (
            {"f": list("xxxxxy")},
            ["f"],
            '"f\\[y\\]" rests on one study, row 6 \\("F"\\): nothing is left to judge it by',
        ),
        (
            {"f": list("uvwxyz")},
            ["f"],
            (
                "too many moderators: 6 coefficients .* from 6 studies leave no residual degrees of"
                " freedom"
            ),
        ),
        (
            {"m": [1, 2, 3, 4, 5, 6]},
            ["months"],
            'no column "months" among the moderators of the studies; there are: ',
        ),
        ({}, np.ones((5, 2)), "one row per study: got 5 rows for 6 studies"),
        ({}, np.array([1, 2, np.inf, 3, 4, 5]), 'moderator x1 is infinite in row 3 \\("C"\\)'),
        ({}, np.ones((6, 2, 2)), "one column per moderator: got 3 dimensions"),
        ({}, pd.DataFrame({"m": list("abcdef")}), "column m of the design matrix holds words"),
        ({"m": [None] * 6}, ["m"], "no study is left to analyse: A: m is empty; B: m is empty"),
    ],
)
def test_moderators_that_cannot_be_fitted_are_refused(
    columns: Any, moderators: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        meta_regression(with_column(**columns), moderators)


def test_other_refusals() -> None:
    effects = with_column(m=[1, 2, 3, 4, 5, 6])
    with pytest.raises(TypeError, match="effects must come from risk_ratio"):
        meta_regression([1, 2, 3], ["m"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="moderators must be a formula, column names or a design"):
        meta_regression(effects, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='unknown interval "profile"'):
        meta_regression(effects, ["m"], ci="profile")
    with pytest.raises(ValueError, match="the common-effect model has no between-study variance"):
        meta_regression(effects, ["m"], model="common", tau2="DL")
    equal = km.generic(
        pd.DataFrame({"study": list("ABCD"), "y": [1.0] * 4, "v": [1.0] * 4, "m": [1, 2, 3, 5]}),
        y="y",
        v="v",
    )
    with pytest.raises(
        ValueError, match='ci="hksj" does not exist for these effects \\(tau2 = 0\\)'
    ):
        meta_regression(equal, ["m"], ci="hksj")
    nothing = km.risk_ratio(
        pd.DataFrame({"study": ["A"], "events_t": [0], "n_t": [5], "events_c": [0], "n_c": [5]}),
        zero="drop",
    )
    with pytest.raises(ValueError, match="no study has an estimate"):
        meta_regression(nothing, ["m"])


def test_formulas_say_what_is_wrong_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("formulaic")
    effects = with_column(m=[1, 2, 3, 4, 5, 7])
    with pytest.raises(
        ValueError, match='the effects are the left-hand side: write only moderators, "~ m"'
    ):
        meta_regression(effects, "y ~ m")
    with pytest.raises(ValueError, match="cannot be read"):
        meta_regression(effects, "~ m + (")
    with pytest.raises(ValueError, match='no column "dose"'):
        meta_regression(effects, "~ m + dose")
    found = builtins.__import__

    def without_formulaic(name: str, *args: Any, **options: Any) -> Any:
        if name == "formulaic":
            raise ImportError(name)
        return found(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without_formulaic)
    with pytest.raises(
        ImportError, match="formulas need the package formulaic: pip install formulaic"
    ):
        meta_regression(effects, "~ m")
    assert meta_regression(effects, ["m"]).k == 6
    assert meta_regression(effects, "m").names == (
        "intercept",
        "m",
    )  # the name of a column is no formula


def test_categories_keep_their_order_and_flags_are_numbers() -> None:
    table = pd.DataFrame(
        {
            "dose": pd.Categorical(["low", "high", "low", "high"], ["low", "high"]),
            "blind": [True, False] * 2,
        }
    )
    design = design_of(["dose", "blind"], table, tuple("ABCD"))
    assert design.names == ("intercept", "dose[high]", "blind")
    assert design.matrix[:, 1].tolist() == [0, 1, 0, 1]
    given = design_of(
        np.array([[1.0, 3.0], [1.0, 4.0], [1.0, 9.0], [1.0, 1.0]]), table, tuple("ABCD")
    )
    assert given.names == ("intercept", "x2")
    assert given.rows({"x2": [7.0]}).tolist() == [[1.0, 7.0]]
    bare = design_of(np.array([3.0, 4.0, 9.0, 1.0]), table, tuple("ABCD"), intercept=False)
    assert bare.intercept is None
    framed = design_of(table[["blind"]].astype(float), table, tuple("ABCD"))
    assert framed.names == ("intercept", "blind")
    assert framed.rows({"blind": [1.0]}).tolist() == [[1.0, 1.0]]


def test_excluded_trials_stay_visible_and_design_may_be_a_moderator() -> None:
    trials = pd.DataFrame(
        {
            "study": list("ABCDEFG"),
            "events_t": [5, 6, 7, 9, 4, 0, 8],
            "n_t": [20] * 7,
            "events_c": [2, 3, 5, 2, 3, 0, 3],
            "n_c": [20] * 7,
            "months": [1, 3, 6, 12, 2, 6, 9],
            "randomised": [True, True, True, True, True, True, False],
        }
    )
    effects = km.risk_ratio(trials, zero="drop")
    found = meta_regression(effects, ["months"])
    assert found.labels == tuple("ABCDE")
    assert len(found.effects) == 7
    assert "set aside as not randomised: G" in found.summary()
    both = meta_regression(effects, ["months"], mixed=True)
    assert both.labels == tuple("ABCDEG")
    matrix = meta_regression(effects, trials[["months"]])
    close(matrix.estimate, found.estimate)


def test_modes_of_the_likelihood_are_named() -> None:
    frame = pd.DataFrame({"study": list("ABC"), "y": [0.1, -0.3, 4.2], "v": [0.07, 0.01, 3.27]})
    found = meta_regression(km.generic(frame, y="y", v="v"), np.ones((3, 1)))
    assert "the likelihood has 2 modes in tau2; 0.08875 is the global one" in found.summary()


SIX = pd.DataFrame(
    {
        "study": list("ABCDEF"),
        "y": [0.1, 0.5, 0.2, 0.4, 0.9, 0.3],
        "v": [0.1, 0.2, 0.1, 0.3, 0.2, 0.1],
    }
)


def test_numbers_in_an_object_column_are_a_slope_not_levels() -> None:
    dose = SIX.assign(dose=np.array([1, 2, 3, 4, 5, 6], dtype=object))
    assert meta_regression(km.generic(dose), "dose").names == ("intercept", "dose")


def test_an_infinite_moderator_is_refused_by_row() -> None:
    with pytest.raises(ValueError, match=r'moderator dose is infinite in row 2 \("B"\)'):
        meta_regression(km.generic(SIX.assign(dose=[1, np.inf, 3, 4, 5, 6])), "dose")


def test_a_study_without_a_subgroup_is_left_out_by_name() -> None:
    found = subgroups(kap5(), ["a", " ", "b", "b", "a"])
    assert {name: pooled.k for name, pooled in found.groups.items()} == {"a": 2, "b": 2}
    assert found.overall.k == 4
    assert found.effects.excluded == {1: "subgroup is empty"}
    assert "set aside, S2: subgroup is empty" in found.notes


@pytest.mark.parametrize("gap", [None, np.nan, "", pd.NA])
def test_a_study_without_a_moderator_is_left_out_of_that_regression_by_name(gap: Any) -> None:
    months = [1, 2, gap, 4, 5, 7]
    effects = with_column(m=months)
    found = meta_regression(effects, ["m"])
    rest = meta_regression(effects.select([0, 1, 3, 4, 5]), ["m"])
    close(found.estimate, rest.estimate)
    assert found.labels == ("A", "B", "D", "E", "F")
    assert found.effects.excluded == {2: "m is empty"}
    assert "Note: set aside, C: m is empty." in found.summary()
    with pytest.raises(ValueError, match='m is empty in row 3 ."C".: give its value'):
        meta_regression(effects, ["m"], missing="raise")
    with pytest.raises(ValueError, match='unknown rule for missing moderators "drop"'):
        meta_regression(effects, ["m"], missing="drop")


def test_a_gap_in_a_design_matrix_leaves_that_study_out() -> None:
    matrix = np.array([[1, 2], [2, 5], [np.nan, 1], [4, 3], [5, 9], [7, 1]])
    found = meta_regression(with_column(), matrix)
    kept = [0, 1, 3, 4, 5]
    rest = meta_regression(with_column().select(kept), matrix[kept])
    close(found.estimate, rest.estimate)
    named = meta_regression(with_column(), pd.DataFrame(matrix, columns=["a", "b"]))
    close(named.estimate, rest.estimate)
    assert "set aside, C: a is empty" in named.notes


def test_numbers_written_as_text_are_numbers_and_the_result_says_so() -> None:
    right = meta_regression(with_column(m=[1, 2.5, 3, 4, 5, 7]), ["m"])
    text = meta_regression(with_column(m=["1", " 2.5", "3.0", "4", "5e0", 7]), ["m"])
    close(text.estimate, right.estimate)
    said = "the numbers of m are written as text and were read as numbers"
    assert any(note.startswith(said) for note in text.notes)
    assert not any(note.startswith(said) for note in right.notes)
    close(text.predict({"m": ["4"]})["y"], right.predict({"m": [4]})["y"])
    names = pd.Categorical(["1", "1", "2", "2", "3", "3"])
    factor = meta_regression(with_column(m=list(names)).select(slice(None)), ["m"])
    assert factor.names == ("intercept", "m")
    kept = km.generic(with_column().table.assign(m=names)[["study", "y", "v", "m"]], y="y", v="v")
    assert meta_regression(kept, ["m"]).names == ("intercept", "m[2]", "m[3]")


def test_two_spellings_of_a_level_are_one_level() -> None:
    mixed = ["a", " a", "a\u200b", "b", "b ", "c"]
    plain = ["a", "a", "a", "b", "b", "c"]
    kwargs: dict[str, Any] = {"common_tau2": False}
    left, right = (subgroups(with_column(g=g), "g", **kwargs) for g in (mixed, plain))
    assert list(left.groups) == list(right.groups) == ["a", "b", "c"]
    ones = subgroups(with_column(g=[1, 1.0, "1", 2, "2", " 2"]), "g")
    assert {name: pooled.k for name, pooled in ones.groups.items()} == {"1": 3, "2": 3}


def test_subgroups_come_in_the_order_of_a_categorical() -> None:
    group = pd.Categorical(
        ["high", "low", "high", "low", "high", "low"], categories=["none", "low", "high"]
    )
    frame = with_column().table.assign(g=group)[["study", "y", "v", "g"]]
    found = subgroups(km.generic(frame, y="y", v="v"), "g")
    assert list(found.groups) == ["low", "high"]
    by_values = subgroups(with_column(), group)
    assert list(by_values.groups) == ["low", "high"]
    close(by_values.q_between, subgroups(with_column(), list(group)).q_between)


def test_a_prediction_needs_every_moderator_as_the_fit_has_it() -> None:
    numbers = meta_regression(with_column(m=[1, 2, 3, 4, 5, 7]), ["m"])
    with pytest.raises(ValueError, match='m is a number in the fit: got "high"'):
        numbers.predict({"m": ["high"]})
    with pytest.raises(ValueError, match="m is empty in row 2 of data"):
        numbers.predict({"m": [1, None]})
    words = meta_regression(with_column(m=list("aabbcc")), ["m"])
    with pytest.raises(ValueError, match='m has no level "d" in the fit; it has: a, b, c'):
        words.predict({"m": ["d"]})
    close(words.predict({"m": [" a"]})["y"], words.predict({"m": ["a"]})["y"])


def test_the_column_randomised_is_asked_for_by_its_whole_name_only() -> None:
    effects = with_column(not_randomised_share=[1, 2, 3, 4, 5, 7], randomised=[True] * 5 + [False])
    assert meta_regression(effects, ["not_randomised_share"]).k == 5
    assert meta_regression(effects, ["not_randomised_share"], mixed=True).k == 6


ADVERSE = pd.DataFrame(
    {
        "study": [f"s{i}" for i in range(15)],
        "kind": ["minor", "major", "deadly"] * 5,
        "n": np.repeat([25, 19, 101, 32, 50], 3),
        "events": [2, 3, 3, 4, 1, 0, 29, 13, 4, 7, 4, 1, 7, 2, 1],
    }
)


def test_means_of_one_group_are_shown_as_the_measure_is_and_not_tested() -> None:
    means = meta_regression(km.proportion(ADVERSE), "kind", intercept=False)
    frame = means.to_frame()
    close(frame["estimate"], 1 / (1 + np.exp(-frame["y"])))
    assert frame[["statistic", "p_value"]].isna().all(axis=None)
    assert np.isnan(means.p_value).all()
    assert "kind[deadly]: 0.048 (0.023 to 0.10)." in means.summary()
    differences = meta_regression(km.proportion(ADVERSE), "kind")
    close(differences.to_frame()["estimate"][0], frame["estimate"][0])  # the intercept is a mean
    close(differences.to_frame()["estimate"][1], differences.estimate[1])
    text = differences.summary()
    assert "(difference on the logit scale), p = " in text
    assert "coefficients as difference per unit on the logit scale." in text
    # the joint test is of differences between levels, whichever way they are coded
    assert means.omnibus is not None
    assert differences.omnibus is not None
    close(means.omnibus.statistic, differences.omnibus.statistic)
    assert means.contrast({"kind[deadly]": 1})["estimate"] == frame["estimate"][0]
    assert np.isnan(means.contrast({"kind[deadly]": 1})["p_value"])
    pair = means.contrast({"kind[major]": 1, "kind[deadly]": -1})
    close(pair["estimate"], differences.estimate[1])
    close(pair["p_value"], differences.p_value[1])


def test_means_of_a_comparison_keep_their_test_against_no_effect() -> None:
    bcg = km.risk_ratio(km.load_example("bcg"))
    found = meta_regression(bcg, "allocation", intercept=False)
    assert found.to_frame()["p_value"].notna().all()
    close(found.to_frame()["estimate"], np.exp(found.estimate))

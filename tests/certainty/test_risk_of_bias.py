"""RoB 2 and ROBINS-I from frames of answers, and pooling adjusted for bias."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.certainty.risk_of_bias import (
    bias_adjusted,
    low_risk_only,
    rob2_judgements,
    robins_i_overall,
)
from kapmeta.review.evidence import load_evidence

SEVEN = tuple(f"D{number}" for number in range(1, 8))


def answered(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def test_judgements_of_a_frame_of_answers() -> None:
    best = {
        "1.1": "Y",
        "1.2": "Y",
        "1.3": "N",
        "2.1": "N",
        "2.2": "N",
        "2.6": "Y",
        "3.1": "Y",
        "4.1": "N",
    }
    best |= {"4.2": "N", "4.3": "N", "5.1": "Y", "5.2": "N", "5.3": "N"}
    rows = [
        {"study": "A", "question": q, "answer": word, "reason": "protocol"}
        for q, word in best.items()
    ]
    found = rob2_judgements(pd.DataFrame(rows)).iloc[0]
    assert found.tolist() == ["A", *["low"] * 6, ""]
    rows[3]["answer"] = "Y"  # participants knew, and nothing is said of deviations
    assert rob2_judgements(pd.DataFrame(rows))[["D2", "overall"]].to_numpy().tolist() == [
        ["some concerns"] * 2
    ]


def test_assessor_may_depart_with_a_reason_in_sight() -> None:
    answers = pd.DataFrame(
        {"study": ["A", "B"], "question": "1.1", "answer": "Y", "reason": "protocol"}
    )
    plain = rob2_judgements(answers)
    assert plain["overall"].tolist() == ["high", "high"]  # nothing is known of missing data
    rows = [
        ("A", "D3", "low", "register linkage"),
        ("A", "D2", "low", "blinding held"),
        ("A", "D4", "some concerns", "self-report"),
    ]
    names = ["study", "domain", "judgement", "reason"]
    changed = rob2_judgements(answers, overrides=pd.DataFrame(rows, columns=names)).set_index(
        "study"
    )
    assert changed.loc["A", ["D2", "D3", "D4", "overall"]].tolist() == [
        "low",
        "low",
        "some concerns",
        "some concerns",
    ]
    assert "D3: register linkage" in changed.loc["A", "overridden"]
    assert changed.loc["B"].drop("overridden").tolist() == plain.iloc[1].tolist()[1:-1]
    rows.append(("A", "overall", "high", "several concerns together"))
    assert (
        rob2_judgements(answers, overrides=pd.DataFrame(rows, columns=names))["overall"][0]
        == "high"
    )
    for wrong, message in [
        (("A", "overall", "low", "because"), 'overall = "low" of "A" is milder than its domains'),
        (("A", "D1", "low", " "), r'reason is empty in overrides, row 4 \("A"\)'),
        (("C", "D1", "low", "because"), r"unknown study in overrides, row 4"),
        (("A", "D6", "low", "because"), r"unknown domain in overrides, row 4"),
        (("A", "D1", "fine", "because"), r"unknown judgement in overrides, row 4"),
    ]:
        with pytest.raises(ValueError, match=message):
            rob2_judgements(answers, overrides=pd.DataFrame([*rows[:3], wrong], columns=names))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("question", "6.1", 'question = "6.1" in row 1'),
        ("answer", "maybe", 'answer = "maybe" in row 1'),
        ("reason", " ", "reason is empty in row 1"),
    ],
)
def test_answers_are_checked(column: str, value: str, message: str) -> None:
    frame = pd.DataFrame({"study": ["A"], "question": ["1.1"], "answer": ["Y"], "reason": ["r"]})
    frame[column] = value
    with pytest.raises(ValueError, match=message):
        rob2_judgements(frame)


def test_a_question_is_answered_once_and_columns_are_named() -> None:
    frame = pd.DataFrame(
        {"study": ["A"] * 2, "question": ["1.1"] * 2, "answer": ["Y"] * 2, "reason": ["r"] * 2}
    )
    with pytest.raises(ValueError, match="answered twice in row 2"):
        rob2_judgements(frame)
    with pytest.raises(ValueError, match='no column "reason"'):
        rob2_judgements(frame.drop(columns="reason"))


def test_robins_i_is_the_worst_domain() -> None:
    domains = dict.fromkeys(SEVEN, "low")
    assert robins_i_overall(domains) == "low"
    assert robins_i_overall(domains | {"D1": "critical", "D2": "serious"}) == "critical"
    with pytest.raises(ValueError, match='unknown judgement of D1 "high"'):
        robins_i_overall(domains | {"D1": "high"})
    with pytest.raises(ValueError, match='unknown domain "D8"'):
        robins_i_overall(domains | {"D8": "low"})
    with pytest.raises(ValueError, match=r"domains lack D1 \(confounding\), D2"):
        robins_i_overall(dict.fromkeys(SEVEN[2:], "low"))


@pytest.mark.parametrize(
    ("known", "overall_word"),
    [
        ("low", "no information"),
        ("moderate", "no information"),
        ("serious", "serious"),
        ("critical", "critical"),
    ],
)
def test_robins_i_without_information(known: str, overall_word: str) -> None:
    domains = dict.fromkeys(SEVEN, "no information")
    assert robins_i_overall(domains) == "no information"
    assert robins_i_overall(domains | {"D3": known}) == overall_word


def test_bias_adjustment_of_the_worked_example() -> None:
    """Five invented tables; expected values from an independent program."""
    y = [1.00804559548, 0.995428052433, 0.810930216216, 1.09861228867, 3.25396714468]
    v = [0.0363562877946, 0.397698209719, 0.168091168091, 0.609523809524, 2.00980295567]
    frame = pd.DataFrame({"study": ["S1", "S2", "S3", "S4", "S5"], "y": y, "v": v})
    effects = km.generic(frame, y="y", v="v")
    curve = bias_adjusted(
        effects, ["S1"], shift=math.log(1.3), inflation=[0, 0.3, 1e3], model="common"
    ).to_frame()
    assert curve["y"][1] == pytest.approx(0.8992360, abs=1e-7)
    assert curve["se"][1] == pytest.approx(0.2323952, abs=1e-7)
    without = km.pool(effects.select(np.arange(5) > 0), model="common")
    assert curve["y"][2] == pytest.approx(
        without.estimate, rel=1e-5
    )  # unbounded doubt drops the study
    assert without.estimate == pytest.approx(1.0138629, abs=1e-7)
    base = bias_adjusted(effects, ["S1"], shift=0, inflation=[0], model="common")
    assert base.base is not None
    assert base.to_frame()["y"][0] == base.base.estimate == pytest.approx(1.0096640, abs=1e-7)


def test_several_shifts_give_the_rows_of_each() -> None:
    effects = km.risk_ratio(load_evidence().trials("alcohol"))
    options = {"inflation": [0, 0.5], "model": "common"}
    both = bias_adjusted(effects, ["Krupitsky 1997"], shift=[0.1, 0.3], **options).to_frame()
    assert both[["shift", "inflation"]].to_numpy().tolist() == [
        [0.1, 0],
        [0.1, 0.5],
        [0.3, 0],
        [0.3, 0.5],
    ]
    alone = [
        bias_adjusted(effects, ["Krupitsky 1997"], shift=by, **options).to_frame()
        for by in (0.1, 0.3)
    ]
    pd.testing.assert_frame_equal(both, pd.concat(alone, ignore_index=True))
    assert (both["analysis"].value_counts() == 1).all()
    assert both["analysis"][0] == "bias by a factor of 1.11, standard deviation 0 (log)"


def test_bias_adjustment_refuses_what_makes_no_sense() -> None:
    effects = km.risk_ratio(load_evidence().trials("alcohol"))
    with pytest.raises(ValueError, match='unknown study "Nobody"'):
        bias_adjusted(effects, ["Nobody"], shift=0.1)
    with pytest.raises(ValueError, match="0 or more"):
        bias_adjusted(effects, ["Krupitsky 1997"], shift=0.1, inflation=[-1])


def test_high_risk_studies_are_set_aside_in_sight() -> None:
    effects = low_risk_only(km.risk_ratio(load_evidence().trials("alcohol")))
    assert effects.k == 1
    assert list(effects.excluded.values()) == ["risk of bias: serious"]
    with pytest.raises(ValueError, match="nothing left to pool"):
        low_risk_only(effects, words=["low"])
    plain = pd.DataFrame({"study": ["A"], "events_t": [1], "n_t": [9], "events_c": [2], "n_c": [9]})
    with pytest.raises(ValueError, match="no column risk_of_bias"):
        low_risk_only(km.risk_ratio(plain))

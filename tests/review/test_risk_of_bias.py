"""Judgements of risk of bias in the evidence against their domains."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

import kapmeta as km
from kapmeta.review.evidence import EvidenceError, load_evidence
from kapmeta.review.risk_of_bias import check_bias_judgements
from tests.helpers.places import ROOT

SEVEN = tuple(f"D{number}" for number in range(1, 8))


def test_robins_i_can_be_entered_with_its_own_domains_and_words(tmp_path: Path) -> None:
    """A study that was not randomised may be judged by it; each judgement needs its reason."""
    folder = Path(shutil.copytree(ROOT / "data", tmp_path / "data"))
    table = pd.read_csv(folder / "risk_of_bias.csv", dtype=str, keep_default_na=False)
    row = table[table["study_id"] == "krupitsky1997"].iloc[0]
    words = {**dict.fromkeys(SEVEN, "moderate"), "D1": "critical", "overall": "critical"}
    entered = pd.DataFrame(
        [
            row.to_dict()
            | {"domain": d, "tool": "ROBINS-I", "judgement": w, "reason": "for the test"}
            for d, w in words.items()
        ]
    )

    def loaded(rows: pd.DataFrame) -> km.review.evidence.Evidence:
        others = table[table["study_id"] != "krupitsky1997"]
        pd.concat([rows, others]).to_csv(
            folder / "risk_of_bias.csv", index=False, lineterminator="\n"
        )
        return load_evidence(folder)

    found = check_bias_judgements(loaded(entered)).set_index("study").loc["krupitsky1997"]
    assert found.tolist() == ["abstinence", "ROBINS-I", "critical", "critical", True]
    milder = entered.assign(judgement=[*entered["judgement"][:-1], "moderate"])
    assert (
        not check_bias_judgements(loaded(milder)).set_index("study").loc["krupitsky1997", "agree"]
    )
    with pytest.raises(EvidenceError, match=r"risk_of_bias.csv, row 2 .*reason is empty"):
        loaded(entered.assign(reason=["", *entered["reason"][1:]]))


def test_entered_judgements_are_no_milder_than_their_domains() -> None:
    table = check_bias_judgements(load_evidence())
    assert table["agree"].all()
    assert {"krupitsky1997", "grabski2022", "dakwar2019"} <= set(table["study"])


def test_a_domain_that_was_not_judged_is_never_low(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "data", tmp_path / "data"))
    table = pd.read_csv(folder / "risk_of_bias.csv", dtype=str, keep_default_na=False)
    own = table["study_id"] == "yoon2025"

    def derived(words: dict[str, str]) -> list[object]:
        judgements = table["domain"].map(words).where(own, table["judgement"])
        table.assign(judgement=judgements).to_csv(folder / "risk_of_bias.csv", index=False)
        found = check_bias_judgements(load_evidence(folder)).set_index("study")
        return found.loc["yoon2025", ["derived", "entered", "agree"]].tolist()

    low = {**{f"D{n}": "low" for n in range(1, 6)}, "overall": "low"}
    assert derived(low) == ["low", "low", True]
    assert derived(low | {"D3": "not judged"}) == ["not judged", "low", False]
    assert derived(low | {"D3": "not judged", "overall": "not judged"})[2]
    assert derived(low | {"D2": "high", "D3": "not judged"}) == ["high", "low", False]

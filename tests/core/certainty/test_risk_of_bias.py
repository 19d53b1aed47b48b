"""The published flow charts of RoB 2: every path, and the overall judgement."""

from __future__ import annotations

import itertools

import pytest

from kapmeta.core.certainty.risk_of_bias import DOMAINS, QUESTIONS, ROB2, overall

# One line a path of the published flow charts: domain, answers, judgement.
PATHS = [
    ("D1", "1.2 N", "high"),
    ("D1", "1.2 NI 1.3 Y", "high"),
    ("D1", "1.2 NI 1.3 N", "some concerns"),
    ("D1", "1.1 N 1.2 Y 1.3 N", "some concerns"),
    ("D1", "1.1 Y 1.2 Y 1.3 PY", "some concerns"),
    ("D1", "1.1 NI 1.2 PY 1.3 NI", "low"),
    ("D2", "2.1 N 2.2 PN 2.6 Y", "low"),
    ("D2", "2.1 Y 2.2 Y 2.3 N 2.6 Y", "low"),
    ("D2", "2.1 Y 2.2 Y 2.3 NI 2.6 Y", "some concerns"),
    ("D2", "2.1 Y 2.2 Y 2.3 Y 2.4 N 2.6 Y", "some concerns"),
    ("D2", "2.1 Y 2.2 Y 2.3 Y 2.4 Y 2.5 Y 2.6 Y", "some concerns"),
    ("D2", "2.1 Y 2.2 Y 2.3 Y 2.4 Y 2.5 N 2.6 Y", "high"),
    ("D2", "2.1 N 2.2 N 2.6 N 2.7 N", "some concerns"),
    ("D2", "2.1 N 2.2 N 2.6 N 2.7 Y", "high"),
    ("D3", "3.1 Y", "low"),
    ("D3", "3.1 N 3.2 Y", "low"),
    ("D3", "3.1 N 3.2 N 3.3 N", "low"),
    ("D3", "3.1 N 3.2 N 3.3 Y 3.4 N", "some concerns"),
    ("D3", "3.1 NI 3.2 N 3.3 Y 3.4 NI", "high"),
    ("D4", "4.1 Y", "high"),
    ("D4", "4.1 N 4.2 Y", "high"),
    ("D4", "4.1 N 4.2 N 4.3 N", "low"),
    ("D4", "4.1 N 4.2 N 4.3 Y 4.4 N", "low"),
    ("D4", "4.1 N 4.2 N 4.3 Y 4.4 Y 4.5 N", "some concerns"),
    ("D4", "4.1 N 4.2 N 4.3 Y 4.4 Y 4.5 Y", "high"),
    ("D4", "4.1 N 4.2 NI 4.3 N", "some concerns"),
    ("D4", "4.1 N 4.2 NI 4.3 Y 4.4 N", "some concerns"),
    ("D4", "4.1 N 4.2 NI 4.3 Y 4.4 Y 4.5 NI", "high"),
    ("D5", "5.1 Y 5.2 N 5.3 N", "low"),
    ("D5", "5.1 NI 5.2 N 5.3 N", "some concerns"),
    ("D5", "5.1 Y 5.2 NI 5.3 N", "some concerns"),
    ("D5", "5.1 Y 5.2 N 5.3 PY", "high"),
]


def answered(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize(("domain", "answers", "judgement"), PATHS)
def test_each_path_of_the_flow_charts(domain: str, answers: str, judgement: str) -> None:
    assert DOMAINS[domain](answered(answers)) == judgement


@pytest.mark.parametrize("domain", DOMAINS)
def test_probably_is_as_good_as_certainly(domain: str) -> None:
    questions = [number for number in QUESTIONS if number[0] == domain[1]]
    probably = {"Y": "PY", "N": "PN", "NI": "NI"}
    for words in itertools.product(probably, repeat=len(questions)):
        plain = dict(zip(questions, words, strict=True))
        judgement = DOMAINS[domain](plain)
        assert judgement in ROB2
        assert (
            DOMAINS[domain]({number: probably[word] for number, word in plain.items()}) == judgement
        )


def test_overall_is_low_only_if_all_are_low() -> None:
    for words in itertools.product(ROB2, repeat=3):
        expected = (
            "high" if "high" in words else "some concerns" if "some concerns" in words else "low"
        )
        assert overall(words) == expected

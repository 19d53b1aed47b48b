"""The reader's page: its numbers are those of results/, and it needs nothing from outside."""

from __future__ import annotations

import csv
import datetime
import itertools
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

import kapmeta as km
from kapmeta.pooling.headlines import headline_of, tertiary
from kapmeta.review import answering
from kapmeta.review.answering import Answered
from kapmeta.review.claims import audit_claims
from kapmeta.review.evidence import load_evidence
from kapmeta.review.report import question_analyses, trials_table, write_page
from kapmeta.review.report.contents import PageContents, gather
from kapmeta.review.report.figures import inline_svg
from kapmeta.review.report.pages import render, require_same
from kapmeta.review.report.plain import in_short, known_of, plain_result, short_answer, time_phrase
from kapmeta.review.report.tables import Table, differing, read_results
from kapmeta.review.report.words import ASKED, CERTAINTY_MEANINGS, ROLES
from kapmeta.review.reproduce import save_table
from kapmeta.wording import EVIDENCE_LEVELS
from tests.helpers.places import ROOT

SAVED = (
    "report-trials",
    "summary-of-findings",
    "report-sensitivity",
    "claims-audit",
    "claims-scorecard",
)


class Reader(HTMLParser):
    """What the page holds: numbers by table, ids, links, tags, and its visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[str, list[dict[str, str]]] = {}
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._table = ""
        self._silent = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.tags.append((tag, found))
        self.ids += [found["id"]] if found.get("id") else []
        self.links += [found["href"]] if tag == "a" and found.get("href") else []
        self._silent += tag in ("script", "style")
        if tag == "table":
            self._table = found.get("data-table") or ""
            self.numbers.setdefault(self._table, [])
        elif tag == "tr":
            self.numbers.setdefault(self._table, []).append({})
        elif found.get("data-column") and found.get("data-value") is not None:
            self.numbers[self._table][-1][str(found["data-column"])] = str(found["data-value"])

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")
        if tag == "table":
            self._table = ""

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text.append(data)


def read(file: Path) -> Reader:
    reader = Reader()
    reader.feed(file.read_text(encoding="utf-8"))
    return reader


def numbers_are_equal(page: Reader, results: Path) -> int:
    """Every number on the page that results/ holds, compared as text; how many there were."""
    compared = 0
    for name in SAVED:
        with (results / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
            saved = list(csv.DictReader(stream))
        rows = page.numbers[name][1:]  # the first row is the head
        assert len(rows) == len(saved), name
        for shown, row in zip(rows, saved, strict=True):
            for column, value in shown.items():
                assert value == row[column] or float(value) == float(row[column]), (name, column)
                compared += 1
    return compared


@pytest.fixture(scope="module")
def evidence() -> km.review.evidence.Evidence:
    return load_evidence()


@pytest.fixture(scope="module")
def answered(evidence: km.review.evidence.Evidence) -> dict[str, Answered]:
    return km.review.answers(evidence)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, evidence: km.review.evidence.Evidence) -> Path:
    """Write a folder with the saved tables and the page made beside them."""
    root = tmp_path_factory.mktemp("tree")
    audit = audit_claims(evidence)
    frames = (
        trials_table(evidence),
        km.review.summary_of_findings(evidence).to_frame(),
        question_analyses(evidence),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAPMETA_OUTPUT", str(root))
        for name, frame in zip(SAVED, (*frames, audit.to_frame(), audit.scorecard()), strict=True):
            save_table(frame, name)
    write_page(evidence, root / "report", results=root / "results")
    return root


@pytest.fixture(scope="module")
def contents(evidence: km.review.evidence.Evidence) -> PageContents:
    return gather(evidence)


@pytest.fixture(scope="module")
def page(tree: Path) -> Reader:
    return read(tree / "report" / "index.html")


def test_numbers_on_the_page_equal_the_results(page: Reader, tree: Path) -> None:
    assert numbers_are_equal(page, tree / "results") > 200


@pytest.mark.skipif(
    not (ROOT / "report" / "index.html").is_file(), reason="the page has not been made yet"
)
def test_numbers_on_the_page_checked_in_equal_the_results_checked_in() -> None:
    assert numbers_are_equal(read(ROOT / "report" / "index.html"), ROOT / "results") > 200


def test_page_that_would_contradict_the_results_is_refused(
    tree: Path, contents: PageContents
) -> None:
    file = tree / "results" / "claims-scorecard.csv"
    before = file.read_text(encoding="utf-8")
    try:
        n = len(contents.audit.table)
        file.write_text(before.replace(f"all,{n}", f"all,{n + 1}"), encoding="utf-8")
        with pytest.raises(
            ValueError,
            match=f"claims-scorecard, row 6, claims: {n} on the page, {n + 1} in results/",
        ):
            require_same(contents, tree / "results")
    finally:
        file.write_text(before, encoding="utf-8")


def test_same_evidence_gives_the_same_bytes_and_no_date(tree: Path, contents: PageContents) -> None:
    first = (tree / "report" / "index.html").read_bytes()
    assert render(contents).encode() == first
    assert datetime.date.today().isoformat().encode() not in first
    assert not re.search(rb"\d\d:\d\d:\d\d", first)
    for place in (ROOT, tree):  # nothing of the machine it was made on
        assert str(place).encode() not in first


def test_page_needs_nothing_from_outside(tree: Path, page: Reader) -> None:
    text = (tree / "report" / "index.html").read_text(encoding="utf-8")
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    for tag, attributes in page.tags:
        assert tag not in ("img", "iframe", "object", "embed", "audio", "video")
        assert "src" not in attributes
        assert tag != "link" or attributes["href"] == "data:,"
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    assert not re.search(r"fetch|XMLHttpRequest|localStorage|cookie|sendBeacon|https?:", scripts[0])


def test_ids_are_unique_and_links_lead_somewhere(page: Reader) -> None:
    assert [name for name, times in Counter(page.ids).items() if times > 1] == []
    for link in page.links:
        assert link.startswith("http") or link[1:] in page.ids, link


def test_figures_speak_and_headings_are_in_order(
    page: Reader, tree: Path, evidence: km.review.evidence.Evidence
) -> None:
    text = (tree / "report" / "index.html").read_text(encoding="utf-8")
    figures = re.findall(r"<svg\b.*?</svg>", text, re.DOTALL)
    shown = [
        name
        for name in km.review.protocol.QUESTIONS
        if not tertiary(km.review.answer(evidence, name))
    ]
    assert (
        len(figures) == len(shown) + 1
    )  # and the risk of bias; counts that are not confirmed are not drawn
    for figure in figures:
        assert 'role="img"' in figure[:400]
        assert re.search(r"<title[^>]*>[^<]+</title>\s*<desc[^>]*>[^<]{20,}</desc>", figure)
        assert "<metadata" not in figure
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_page_says_what_it_must(page: Reader, evidence: km.review.evidence.Evidence) -> None:
    text = re.sub(r"\s+", " ", " ".join(page.text))
    assert text.count("Not medical advice.") == 2
    assert evidence.data_hash in text
    assert f"kapmeta {km.__version__}" in text
    for name, asked in km.review.protocol.QUESTIONS.items():
        assert name in page.ids
        pooled = km.review.answer(evidence, name)
        told = km.review.conclusion(pooled)
        assert told.may_not in text
        assert f"k = {pooled.k}" in text
        assert asked.substance.capitalize() in text
    assert "No headline: the counts are known only from a tertiary source" in text
    assert "Nothing can be headlined as an effect of ketamine: not randomised" in text
    assert len(page.numbers["claims-audit"]) == len(evidence.claims) + 1  # and the head
    assert all(label in text for label in evidence.studies["label"])
    assert "nan" not in re.findall(r"\w+", text)


def test_what_is_withheld_is_not_in_the_findings(page: Reader) -> None:
    """Counts from a tertiary source give no effect, in the findings or the sensitivity table."""
    row = page.numbers["summary-of-findings"][1:][
        list(km.review.protocol.QUESTIONS).index("opioids-dose")
    ]
    assert set(row) == {"k", "participants"}
    analyses = [row for row in page.numbers["report-sensitivity"][1:] if set(row) == {"k"}]
    assert len(analyses) == 1


def test_cells_are_escaped_and_gaps_are_shown() -> None:
    frame = pd.DataFrame({"study": ["<b>A & B</b>", "C"], "n_t": [1.0, float("nan")]})
    shown = Table("mine", frame, "A <caption>", {"study": "Study", "n_t": "n"}).html
    assert "&lt;b&gt;A &amp; B&lt;/b&gt;" in shown
    assert "A &lt;caption&gt;" in shown
    assert 'data-value="1">1<' in shown
    assert '<td data-column="n_t" class=num>–</td>' in shown


def test_differences_are_named(tmp_path: Path) -> None:
    table = Table("mine", pd.DataFrame({"x": [1.0, float("inf")]}), "", {"x": "x"})
    assert read_results(tmp_path, "mine") is None
    assert list(differing(table, [{"x": "1"}, {"x": "inf"}])) == []
    assert list(differing(table, [{"x": "1.00001"}, {"x": "inf"}])) == [
        "mine, row 1, x: 1.0 on the page, 1.00001 in results/"
    ]
    assert list(differing(table, [{"x": "1"}])) == [
        "mine: 2 rows on the page, 1 in results/mine.csv"
    ]


def test_names_inside_figures_do_not_clash() -> None:
    svg = (
        '<?xml?><svg role="img" aria-labelledby="t"><title id="t">x</title><g id="axes_1"><use'
        ' href="#a"/></g></svg>'
    )
    assert (
        inline_svg(svg, "mine")
        == '<svg id="mine-figure" role="img" aria-labelledby="mine.t"><title id="mine.t">x</title>'
        '<g><use href="#mine.a"/></g></svg>'
    )


def test_first_words_answer_the_question(
    page: Reader, evidence: km.review.evidence.Evidence
) -> None:
    text = re.sub(r"\s+", " ", " ".join(page.text))
    start, end = text.index("become and stay abstinent?"), text.index("In short")
    answer = text[start:end]
    assert " ".join(in_short(evidence)) in answer
    assert (
        "It is not known. Three randomised trials with 191 people in all" in answer
    )  # 40 + 96 + 55
    assert "2 for alcohol and 1 for cocaine; none for opioids" in answer
    people = dict(zip(evidence.studies["label"], evidence.studies["n_randomised"], strict=True))
    assert [people[label] for label in ("Dakwar 2020", "Grabski 2022", "Dakwar 2019")] == [
        40,
        96,
        55,
    ]


def test_each_question_is_answered_once(
    evidence: km.review.evidence.Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[km.Pooled] = []
    monkeypatch.setattr(
        answering, "headline_of", lambda x, **o: calls.append(x) or headline_of(x, **o)
    )
    gather(evidence)
    assert len(calls) == len(km.review.protocol.QUESTIONS)


def test_short_answer_follows_the_evidence(answered: dict[str, Answered]) -> None:
    people, substances = {"Dakwar 2019": 55, "Dakwar 2020": 40}, ("alcohol", "cocaine")
    cocaine, alcohol = (
        known_of(answered["cocaine-end-of-trial"], "very low"),
        known_of(answered["alcohol-randomised"], "very low"),
    )
    assert cocaine.favourable
    assert not alcohol.favourable
    lead, text = short_answer([cocaine], people, substances)
    assert lead == "It is not known."
    assert text.startswith("One randomised trial with 55 people in all")
    assert (
        "1 for cocaine; none for alcohol. Their results favour ketamine. The certainty is very low."
        in text
    )
    assert (
        "Some results favour ketamine, others leave it open."
        in short_answer([cocaine, alcohol], people, substances)[1]
    )
    assert "Their results leave it open." in short_answer([alcohol], people, substances)[1]
    surer = known_of(answered["cocaine-end-of-trial"], "moderate")
    assert short_answer([surer, alcohol], people, substances)[0] != "It is not known."
    apart = [
        known_of(answered[name], "very low")
        for name in ("alcohol-not-randomised", "opioids-sessions", "opioids-dose")
    ]
    assert "No randomised trial" in short_answer(apart, people, substances)[1]


@pytest.mark.parametrize(
    ("name", "sides", "told"),
    [
        (
            "alcohol-randomised",
            (1, 0),
            "9 of 17 people (53 %) with ketamine and 9 of 22 people (41 %) with midazolam",
        ),
        (
            "alcohol-randomised",
            (1, 1),
            "after 3 weeks. That leaves it open: fewer abstinent, no difference and more",
        ),
        ("alcohol-not-randomised", (1, 1), "Nothing shows that chance decided who got what"),
        (
            "alcohol-odds",
            (1, 1),
            "In one randomised trial (Grabski 2022): odds ratio 1.25 (95 % interval 0.48 to 3.23;",
        ),
        (
            "alcohol-days",
            (1, 1),
            "10.10 percentage points higher with ketamine than with placebo (95 % interval",
        ),
        (
            "opioids-sessions",
            (1, 0),
            "Both groups had ketamine, so this does not tell whether ketamine helps.",
        ),
        (
            "opioids-sessions",
            (1, 0),
            "Some methods of analysis rule out chance as the only explanation, others do not.",
        ),
        (
            "cocaine-6-months",
            (1, 1),
            "after 6 months. Chance alone is an unlikely explanation. It is one trial, not",
        ),
    ],
)
def test_plain_results_say_what_the_numbers_say(
    name: str, sides: tuple[int, ...], told: str, answered: dict[str, Answered]
) -> None:
    assert told in plain_result(known_of(answered[name], "very low"), sides)


def test_numbers_that_are_not_confirmed_are_not_told(answered: dict[str, Answered]) -> None:
    assert not re.search(
        r"\d", plain_result(known_of(answered["opioids-dose"], "very low"), (1, 1))
    )


def test_time_is_told_in_weeks_or_months() -> None:
    assert [time_phrase(m) for m in (0.7, 1.2, 6, 12)] == [
        "after 3 weeks",
        "after 5 weeks",
        "after 6 months",
        "after 12 months",
    ]


def test_every_code_has_its_words(evidence: km.review.evidence.Evidence) -> None:
    """A new question, level or role in the plan or the data needs words on the page."""
    assert set(ASKED) == set(km.review.protocol.QUESTIONS)
    package = json.loads((ROOT / "data" / "datapackage.json").read_text(encoding="utf-8"))
    words = {
        (table["name"], field["name"]): field.get("constraints", {}).get("enum", [])
        for table in package["resources"]
        for field in table["schema"]["fields"]
    }
    assert set(words["outcomes", "evidence_level"]) <= set(EVIDENCE_LEVELS)
    assert set(words["comparisons", "role"]) <= set(ROLES)
    assert set(CERTAINTY_MEANINGS) == set(km.certainty.grading.CERTAINTY)


def test_harms_are_told_and_not_judged(page: Reader, evidence: km.review.evidence.Evidence) -> None:
    text = re.sub(r"\s+", " ", " ".join(page.text))
    assert "no conclusion is drawn about them" in text
    told = evidence.studies.loc[evidence.studies["adverse_events"] != "", "adverse_events"]
    assert len(page.numbers["harms"]) == len(told) + 1
    assert all(words in text for words in told)


def test_no_ratio_of_infinity_is_told_to_readers(page: Reader, contents: PageContents) -> None:
    text = re.sub(r"\s+", " ", " ".join(page.text))
    assert "RR ∞" not in contents.findings.to_html()
    assert "risk ratio ∞" not in text
    assert "risk ratio above 3.61" in text


def test_plain_words_have_the_counts_of_the_results(
    page: Reader, tree: Path, evidence: km.review.evidence.Evidence
) -> None:
    """The sentences come from the analyses, the table from the data: their counts are the same."""
    text = re.sub(r"\s+", " ", " ".join(page.text))
    with (tree / "results" / "report-trials.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(evidence.trials())
    for row in rows:
        for arm, name in (("t", "treatment"), ("c", "control")):
            told = f"{row['events_' + arm]} of {row['n_' + arm]} people ("
            assert (told in text) == (row["role"] != "not_pooled"), (row["label"], name)


def test_headlines_have_the_numbers_of_the_results(page: Reader, tree: Path) -> None:
    text = re.sub(r"\s+", " ", " ".join(page.text))
    with (tree / "results" / "summary-of-findings.csv").open(
        encoding="utf-8", newline=""
    ) as stream:
        rows = [row for row in csv.DictReader(stream) if row["estimate"]]
    assert len(rows) > 5
    for row in rows:
        low, high = (km.wording.number(float(row[name])) for name in ("low", "high"))
        finite = f"interval {low} to {high})" in text
        assert finite or (high == "∞" and f"above {low}, the lower limit" in text), row["question"]

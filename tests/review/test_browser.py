"""The page in a browser: silent, usable by keyboard, narrow and wide, and accessible."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kapmeta.review.evidence import load_evidence
from kapmeta.review.report import write_page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
if CHROMIUM is None:
    pytest.skip(
        "no Chromium on this machine (Debian: apt-get install chromium)", allow_module_level=True
    )
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(load_evidence(), tmp_path_factory.mktemp("report")).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    found = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    found.goto(address)
    yield found
    found.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_loads_without_a_word_and_without_the_network(
    browser: Any, address: str, scheme: str
) -> None:
    found = browser.new_page(color_scheme=scheme)
    said: list[str] = []
    found.on("console", lambda message: said.append(message.text))
    found.on("pageerror", lambda error: said.append(str(error)))
    found.on(
        "request",
        lambda request: (
            said.append(request.url) if not request.url.startswith(("file:", "data:")) else 0
        ),
    )
    found.goto(address)
    found.wait_for_load_state("networkidle")
    assert said == []
    ink, paper = (
        found.evaluate(
            f"getComputedStyle(document.body).{name}.match(/\\d+/g).slice(0, 3).map(Number)"
        )
        for name in ("color", "backgroundColor")
    )
    assert (sum(ink) < sum(paper)) == (scheme == "light")
    found.close()


@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_overflows(browser: Any, address: str, width: int) -> None:
    found = browser.new_page(viewport={"width": width, "height": 800})
    found.goto(address)
    found.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert found.evaluate("document.documentElement.scrollWidth") <= width
    out = found.evaluate(
        """(width) => [...document.querySelectorAll('main *, header *, footer *')].filter(
             (part) => !part.closest('.scroll, .paper, .skip')
                 && part.getBoundingClientRect().right > width + 0.5)
             .map((part) => part.outerHTML.slice(0, 80))""",
        width,
    )
    assert out == []
    found.close()


def test_first_screen_answers_the_question(browser: Any, address: str) -> None:
    for width, height in ((1440, 900), (360, 900)):
        found = browser.new_page(viewport={"width": width, "height": height})
        found.goto(address)
        box = found.locator(".answer").bounding_box()
        assert box["y"] + box["height"] <= height
        assert found.locator(".answer").inner_text().startswith("It is not known.")
        found.close()


@pytest.mark.parametrize(
    "name", ["report-trials", "harms", "report-sensitivity", "claims-scorecard"]
)
def test_tables_read_first_need_no_scrolling_on_a_wide_screen(page: Any, name: str) -> None:
    room = page.locator(f".scroll:has(table[data-table={name}])").first
    assert room.evaluate("(part) => part.scrollWidth - part.clientWidth") <= 0


def test_filter_shows_what_is_asked_for(page: Any) -> None:
    rows = page.locator("table[data-table=claims-audit] tbody tr:visible")
    claims = load_evidence().claims
    assert rows.count() == len(claims)
    for word in claims["verdict"].unique():
        page.select_option("#claims-word", word)
        assert rows.count() == (claims["verdict"] == word).sum()
    page.select_option("#claims-word", "contradicted (substance)")
    before = rows.count()
    page.fill("#claims-text", "HEROIN")
    assert 0 < rows.count() < before
    shown = page.locator(".filter output").inner_text()
    assert shown == f"{rows.count()} of {len(claims)} shown"
    page.fill("#claims-text", "")
    page.select_option("#claims-word", "")
    assert rows.count() == len(claims)


def test_tables_sort_by_value_and_back(page: Any) -> None:
    head = page.locator("table[data-table=report-sensitivity] thead th", has_text="Estimate")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    values = """[...document.querySelectorAll(
        '[data-table=report-sensitivity] [data-column=estimate][data-value]')]
        .map((cell) => Number(cell.dataset.value.replace('inf', 'Infinity')))"""
    up = page.evaluate(values)
    assert up == sorted(up)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert page.evaluate(values) == sorted(up, reverse=True)
    assert (
        page.locator("table[data-table=report-sensitivity] tbody tr").last.inner_text().count("–")
        == 3
    )  # gaps last


def test_keyboard_alone_is_enough(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    button = page.locator("table[data-table=claims-scorecard] thead button").first
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator("table[data-table=claims-scorecard] th[aria-sort=ascending]").count() == 1
    summary = page.locator("#claims summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("#claims details[open]").count() == 1
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll, .paper')].every((part) => part.tabIndex === 0 &&"
        " part.ariaLabel)"
    )


def test_links_lead_to_what_they_name(page: Any) -> None:
    page.locator("nav a", has_text="Claims audit").click()
    assert page.locator("#claims").bounding_box()["y"] < 200
    page.locator("table[data-table=claims-audit] a", has_text="S12").first.click()
    box = page.locator("#S12").bounding_box()
    assert 0 <= box["y"] < 900
    page.locator("table[data-table=claims-scorecard] a", has_text="SD2").click()
    assert 0 <= page.locator("#SD2").bounding_box()["y"] < 900
    page.evaluate("document.getElementById('data-grade').open = false")
    page.evaluate("location.hash = 'data-risk-of-bias'")
    page.wait_for_function("document.getElementById('data-risk-of-bias').open")


def test_page_works_without_scripts(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    found = context.new_page()
    found.goto(address)
    assert not found.locator(".filter").is_visible()
    rows = found.locator("table[data-table=claims-audit] tbody tr")
    assert rows.count() == len(load_evidence().claims)
    context.close()


def test_page_prints(page: Any) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert len(page.pdf(format="A4")) > 100_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, address: str, scheme: str) -> None:
    package = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    found = browser.new_page(color_scheme=scheme)
    found.goto(address)
    found.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    found.evaluate(
        "document.querySelectorAll('svg > g, svg > defs').forEach((part) => part.remove())"
    )  # outlines only
    found.add_script_tag(path=str(Path(package.__file__).parent / "axe.min.js"))
    violations = found.evaluate("axe.run().then((result) => result.violations)")
    serious = [
        (v["id"], v["nodes"][0]["html"][:120])
        for v in violations
        if v["impact"] in ("serious", "critical")
    ]
    assert serious == []
    found.close()

"""The public surface: names, docstrings, examples, import cost."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

import kapmeta as km
from tests.helpers.example_calls import calls
from tests.helpers.places import ROOT

ROOMS = "core effects pooling sensitivity moderators small_study certainty results plot review"
FLAT = """
    load_evidence load_example
    risk_ratio odds_ratio risk_difference arcsine_difference peto_odds_ratio
    mean_difference standardized_mean_difference ratio_of_means
    proportion correlation rate_ratio reported generic
    pool mantel_haenszel peto pool_exact pool_bayes headline
    leave_one_out cumulative influence all_subsets baujat multiverse
    missing_outcomes tipping_point fragility_index estimator_table
    subgroups meta_regression multilevel robust
    asymmetry_test trim_and_fill pet_peese selection_model limit_meta_analysis
    publication_bias_sensitivity
    absolute_effects number_needed_to_treat information_size summary_of_findings
    Effects Pooled Method PRIMARY cite
"""


def room(name: str) -> ModuleType:
    return importlib.import_module(f"kapmeta.{name}")


def names_of(name: str) -> list[str]:
    """Return the public names of a room, its public modules apart."""
    return [one for one in room(name).__all__ if not inspect.ismodule(getattr(room(name), one))]


# Figures are named after what they draw, so `plot.baujat` may stand beside `sensitivity.baujat`.
ANALYSIS_ROOMS = [name for name in ROOMS.split() if name not in ("core", "plot")]
HOMES = {name: home for home in reversed(ANALYSIS_ROOMS) for name in names_of(home)}
PUBLIC = {name: getattr(room(home), name) for name, home in HOMES.items()}
PUBLIC |= {name: getattr(km, name) for name in ("load_example", "cite")}
# Of results of one's own in `certainty`, of all questions of a review in `review`.
TWICE = "summary_of_findings"
PUBLIC |= {f"review.{TWICE}": km.review.summary_of_findings}
FUNCTIONS = [
    name
    for name, value in PUBLIC.items()
    if inspect.isfunction(value) and "core" not in value.__module__.split(".")
]


def test_the_flat_names_are_those_of_a_review_of_every_day() -> None:
    assert set(km.__all__) == {*ROOMS.split(), *FLAT.split()}
    assert len(km.__all__) == len(set(km.__all__)) <= 60
    assert dir(km) == sorted(km.__all__)


def test_every_public_name_has_one_home() -> None:
    counted = Counter(name for home in ANALYSIS_ROOMS for name in names_of(home))
    assert [name for name, homes in counted.items() if homes > 1] == [TWICE]
    at_the_top = {"load_example", "cite", "Method", "PRIMARY"}
    for name in FLAT.split():
        assert (name in HOMES) != (name in at_the_top), name
        assert name in at_the_top or getattr(km, name) is PUBLIC[name]


@pytest.mark.parametrize("name", ROOMS.split())
def test_a_room_lists_what_it_offers(name: str) -> None:
    offered = room(name)
    assert getattr(km, name) is offered
    assert len(offered.__all__) == len(set(offered.__all__))
    assert set(offered.__all__) <= set(dir(offered))
    for one in offered.__all__:
        assert getattr(offered, one) is not None
    with pytest.raises(AttributeError, match=rf'^kapmeta.{name} has no "xyz"'):
        offered.xyz  # noqa: B018


@pytest.mark.parametrize("name", ["", *ROOMS.split()])
def test_type_checkers_read_the_names_that_are_there(name: str) -> None:
    """What is loaded lazily is imported for type checkers, and nothing else is."""
    package = room(name) if name else km
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    checking = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in checking.body if isinstance(node, ast.ImportFrom)]
    assert sorted(one.asname or "" for node in imports for one in node.names) == sorted(
        package.__all__
    )


def test_an_unknown_name_is_refused_with_the_nearest_that_there_is() -> None:
    with pytest.raises(
        AttributeError, match=r'^kapmeta has no "poool"; did you mean pool or pooling\? dir\(kap'
    ):
        km.poool  # noqa: B018
    with pytest.raises(
        AttributeError, match=r'^kapmeta has no "xyz"; dir\(kapmeta\) lists all names$'
    ):
        km.xyz  # noqa: B018
    with pytest.raises(AttributeError, match=r"did you mean kapmeta\.plot\.forest\?"):
        km.forest  # noqa: B018


def test_a_name_that_has_moved_is_answered_with_its_new_place() -> None:
    with pytest.raises(
        AttributeError, match=r"^kapmeta.contrasts has moved: kapmeta.effects.contrasts$"
    ):
        km.contrasts  # noqa: B018


MOVED = [
    tuple(line.split(","))
    for line in (ROOT / "kapmeta" / "moved.csv").read_text(encoding="utf-8").split()[1:]
]


@pytest.mark.parametrize("old, new", MOVED)
def test_what_has_moved_is_there(old: str, new: str) -> None:
    with pytest.raises(AttributeError, match=f"^kapmeta.{old} has moved: kapmeta.{new}$"):
        getattr(km, old)
    home, name = new.split(".")
    assert name in room(home).__all__


def test_the_changelog_tells_what_has_moved() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `km\.(\w+)` \| `km\.([\w.]+)` \|$", text, re.MULTILINE)
    assert sorted(rows) == MOVED


def test_the_readme_names_what_is_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `km\.(\w+)` \|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    assert {home for home, _, _ in rows} == set(ROOMS.split())
    flat = [name for _, names, _ in rows for name in re.findall(r"`(\w+)`", names)]
    assert set(FLAT.split()) - set(flat) == {"load_example", "Method", "PRIMARY", "cite"}
    for home, *names in rows:
        for name in re.findall(r"`(\w+)`", " ".join(names)):
            assert name in room(home).__all__, f"README has km.{home}.{name}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_docstrings_are_whole(name: str) -> None:
    function = PUBLIC[name]
    doc = inspect.getdoc(function) or ""
    parameters = ["Parameters"] if inspect.signature(function).parameters else []
    for section in (*parameters, "Returns", "Examples"):
        assert re.search(rf"^{section}\n-+$", doc, re.M), f"{name} has no section {section}"
    assert ">>> " in doc
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"^([\w*, ]+?)(?: :.*)?$", doc, re.M))))
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD:
            assert parameter.name in documented, f"{name}: {parameter.name} is not documented"
            assert parameter.kind is not parameter.VAR_POSITIONAL
    positional = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert len(positional) <= 3, f"{name}: options are keyword-only"


def test_import_loads_nothing_that_is_not_needed() -> None:
    code = (
        "import sys, kapmeta; print(*(m for m in ('numpy', 'scipy', 'pandas', 'matplotlib') if m in"
        " sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert loaded == []


def test_pooling_does_not_load_scipy_stats_or_matplotlib() -> None:
    code = (
        "import sys, kapmeta as km; km.pool(km.risk_ratio(km.load_example('bcg')));"
        "print(*(m for m in ('scipy.stats', 'scipy.optimize', 'matplotlib') if m in sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert loaded == []


@pytest.mark.parametrize("name", ["", *ROOMS.split()])
def test_no_module_bears_the_name_of_a_public_function(name: str) -> None:
    """Importing such a module would put it in the function's place."""
    package = room(name) if name else km
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    functions = {one for one in package.__all__ if inspect.isfunction(getattr(package, one))}
    assert not modules & functions


GIVERS = {
    "Effects": "come from risk_ratio",
    "Pooled": "be a result of pool",
    "Evidence": "come from load_evidence",
    "pd.DataFrame": "be a pandas DataFrame",
}


def first_annotation(name: str) -> str:
    return next((p.annotation for p in inspect.signature(PUBLIC[name]).parameters.values()), "")


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if first_annotation(name) in GIVERS])
def test_an_argument_of_another_kind_is_named_with_where_to_get_one(name: str) -> None:
    """A newcomer passes the table where the effects belong: the error says what to pass instead."""
    function = PUBLIC[name]
    first, *rest = inspect.signature(function).parameters.values()
    home = "review" if name.startswith("review.") else HOMES[name]
    example = calls(home)[name.removeprefix("review.")].arguments
    others = {p.name: example[p.name] for p in rest if p.name in example}
    for wrong in (object(), "x", None):
        message = f"^{first.name} must {GIVERS[first.annotation]}.*: got {type(wrong).__name__}$"
        with pytest.raises(TypeError, match=message):
            function(wrong, **others)

"""The public surface: names, docstrings, examples, import cost."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

import kapmeta as km

FUNCTIONS = [name for name in km.__all__ if inspect.isfunction(getattr(km, name))]
CONTRACT = [
    "load_evidence",
    "risk_ratio",
    "odds_ratio",
    "risk_difference",
    "arcsine_difference",
    "peto_odds_ratio",
    "reported",
    "generic",
    "pool",
    "leave_one_out",
    "PRIMARY",
    "core",
    "plot",
    "mantel_haenszel",
    "peto",
    "Effects",
    "Pooled",
]


def test_the_names_of_the_design_exist() -> None:
    assert set(CONTRACT) <= set(km.__all__)
    for name in km.__all__:
        assert getattr(km, name) is not None
    assert set(km.__all__) <= set(dir(km))


def test_an_unknown_name_is_refused_with_the_nearest_that_there_is() -> None:
    with pytest.raises(
        AttributeError, match=r'^kapmeta has no "poool"; did you mean pool or protocol\? dir\(kap'
    ):
        km.poool  # noqa: B018
    with pytest.raises(
        AttributeError, match=r'^kapmeta has no "xyz"; dir\(kapmeta\) lists all names$'
    ):
        km.xyz  # noqa: B018


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_docstrings_are_whole(name: str) -> None:
    function = getattr(km, name)
    doc = inspect.getdoc(function) or ""
    for section in ("Parameters", "Returns", "Examples"):
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


def test_no_module_bears_the_name_of_a_public_function() -> None:
    """Importing such a module would put it in the function's place."""
    import pkgutil

    modules = {module.name for module in pkgutil.iter_modules(km.__path__)}
    assert not modules & set(FUNCTIONS)


GIVERS = {
    "Effects": "come from risk_ratio",
    "Pooled": "be a result of pool",
    "Evidence": "come from load_evidence",
    "pd.DataFrame": "be a pandas DataFrame",
}


def first_parameter(name: str) -> inspect.Parameter:
    return next(iter(inspect.signature(getattr(km, name)).parameters.values()))


@pytest.mark.parametrize(
    "name", [name for name in FUNCTIONS if first_parameter(name).annotation in GIVERS]
)
def test_an_argument_of_another_kind_is_named_with_where_to_get_one(name: str) -> None:
    """A newcomer passes the table where the effects belong: the error says what to pass, not which attribute lacks."""
    function, first = getattr(km, name), first_parameter(name)
    _, *rest = inspect.signature(function).parameters.values()
    others = {p.name: "x" for p in rest if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
    for wrong in (object(), "x", None):
        told = f"^{first.name} must {GIVERS[first.annotation]}.*: got {type(wrong).__name__}$"
        with pytest.raises(TypeError, match=told):
            function(wrong, **others)

"""The wheel is complete with its evidence, the locks pin everything, imports are cheap."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kapmeta
from tests.helpers.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ["requirements.lock", "requirements-lab.lock"]


def python(code: str, cwd: Path, path: Path) -> str:
    """Run `code` in a fresh interpreter that finds `path` first; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(target: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel of this tree: all that installing a pure wheel does."""
    wheel = build("wheel", tmp_path_factory.mktemp("wheel"))
    assert wheel.name == f"kapmeta-{kapmeta.__version__}-py3-none-any.whl"
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


ALONE = """
import sys
for extra in ("jupytext", "nbclient", "nbformat", "IPython", "statsmodels", "pytest"):
    sys.modules[extra] = None  # as where only the runtime dependencies are installed
import kapmeta as km
print(km.__file__)
print(len(km.load_evidence().trials()))
print(km.pool(km.risk_ratio(km.load_evidence().trials(substance="cocaine", window="end of trial"))))
"""


def test_the_wheel_imports_pools_and_loads_the_evidence_without_the_repository(installed, tmp_path):
    place, trials, pooled = python(ALONE, tmp_path, installed).splitlines()
    assert Path(place) == installed / "kapmeta" / "__init__.py"
    assert int(trials) == len(kapmeta.load_evidence().trials()) > 0
    evidence = kapmeta.load_evidence().trials(substance="cocaine", window="end of trial")
    assert pooled == repr(kapmeta.pool(kapmeta.risk_ratio(evidence)))


def test_the_wheel_carries_the_tables_byte_for_byte(installed):
    tables = sorted(path.name for path in (ROOT / "data").iterdir())
    assert sorted(path.name for path in (installed / "kapmeta" / "data").iterdir()) == tables
    for name in tables:
        assert (installed / "kapmeta" / "data" / name).read_bytes() == (
            ROOT / "data" / name
        ).read_bytes()


def test_the_wheel_is_the_package_with_its_types_and_licences_and_nothing_else(installed):
    tops = {path.name for path in installed.iterdir()}
    assert tops == {"kapmeta", f"kapmeta-{kapmeta.__version__}.dist-info"}
    assert (installed / "kapmeta" / "py.typed").is_file()
    assert (installed / "kapmeta" / "moved.csv").is_file()
    about = installed / f"kapmeta-{kapmeta.__version__}.dist-info"
    assert {path.name for path in (about / "licenses").iterdir()} == {"LICENSE", "LICENSE-DATA"}
    needs = [Requirement(line.split(": ")[1]) for line in metadata_lines(about, "Requires-Dist: ")]
    assert {need.name for need in needs if need.marker is None} == {
        "numpy",
        "scipy",
        "pandas",
        "matplotlib",
        "joblib",
    }
    assert metadata_lines(about, "Requires-Python: ") == ["Requires-Python: >=3.11"]


def metadata_lines(about: Path, field: str) -> list[str]:
    return [
        line for line in (about / "METADATA").read_text().splitlines() if line.startswith(field)
    ]


def test_the_source_archive_can_remake_everything(tmp_path):
    archive = build("sdist", tmp_path)
    with tarfile.open(archive) as opened:
        names = {name.split("/", 1)[1] for name in opened.getnames()}
    licences = {path.name for path in ROOT.glob("LICENSE*")}
    assert {
        "run.py",
        "README.md",
        "data/datapackage.json",
        "tests/conftest.py",
        *LOCKS,
        *licences,
    } <= names
    assert {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.py")} <= names
    assert not any(name.startswith((".venv", ".git/")) for name in names)


def pins(lock: str) -> dict[str, Requirement]:
    lines = (ROOT / lock).read_text().splitlines()
    found = [
        Requirement(line.rstrip("\\ ")) for line in lines if "==" in line and line[0] not in "# "
    ]
    assert len({pin.name for pin in found}) == len(found), (
        "one version for every Python and every system"
    )
    return {canonicalize_name(pin.name): pin for pin in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_by_hash_and_names_no_address(lock):
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--(extra-)?index-url|--find-links|\bfile:", text)
    blocks = re.split(r"\n(?=[a-z0-9])", text[text.index("\n\n") + 1 :].strip())
    assert len(blocks) == len(pins(lock))
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), block.splitlines()[0]


def test_the_lock_has_every_dependency_at_a_version_that_is_allowed():
    locked = pins("requirements.lock")
    extras = PROJECT["optional-dependencies"]
    assert extras["cluster"], "the one extra that no command installs, so that no lock has it"
    installed = (line for name, extra in extras.items() if name != "cluster" for line in extra)
    declared = [*PROJECT["dependencies"], *installed]
    for need in map(Requirement, declared):
        (version,) = locked[canonicalize_name(need.name)].specifier
        assert version.version in need.specifier, need


def test_jupyterlab_comes_on_top_of_the_same_versions():
    locked, lab = pins("requirements.lock"), pins("requirements-lab.lock")
    assert "jupyterlab" in lab
    both = locked.keys() & lab.keys()
    assert {name: locked[name].specifier for name in both} == {
        name: lab[name].specifier for name in both
    }


COSTS = """
import sys
import kapmeta
heavy = ("pandas", "matplotlib", "scipy.stats", "scipy.optimize")
light = [name for name in heavy if name in sys.modules]
import importlib, pkgutil
import kapmeta.core
for module in pkgutil.walk_packages(kapmeta.core.__path__, "kapmeta.core."):
    importlib.import_module(module.name)
heavy = (*heavy, "scipy.integrate", "scipy.interpolate")
print(light, [name for name in heavy if name in sys.modules])
"""


def test_importing_kapmeta_or_all_of_its_core_loads_no_tables_and_no_figures(tmp_path):
    assert python(COSTS, tmp_path, ROOT) == "[] []\n"


def test_the_version_is_the_same_wherever_it_stands():
    assert f"\nversion: {kapmeta.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## [{kapmeta.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_code_in_the_readme_runs_from_top_to_bottom(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```(?:python|pycon)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks, "README.md shows no code"
    monkeypatch.chdir(tmp_path)  # what the code saves is not left in the repository
    names: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for number, block in enumerate(blocks, start=1):
        if ">>>" not in block:
            exec(compile(block, f"README.md, block {number}", "exec"), names)
            continue
        example = doctest.DocTestParser().get_doctest(
            block, names, f"README block {number}", "README.md", 0
        )
        runner.run(example, clear_globs=False)
        names = example.globs
    assert runner.summarize(verbose=False).failed == 0

#!/usr/bin/env python3
"""Remake, check or test this repository. Needs Python 3.11 or newer, and nothing else installed.

    python3 run.py          run every notebook; rewrite results/, figures/, report/ and README.md
    python3 run.py check    remake everything in a scratch copy and compare it with what is kept
    python3 run.py test     style, types, imports and tests; given arguments, pytest alone with them
    python3 run.py lab      the notebooks in JupyterLab, which is installed on first use

The first run makes .venv with exactly the packages that requirements.lock pins.
The environment variable KAPMETA_VENV names another folder for it.
"""

# Standard library only, and no syntax newer than Python 3.7 (so no walrus): an old Python must get
# as far as its one-line message.
from __future__ import annotations

import glob
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements.lock"
LAB_LOCK = ROOT / "requirements-lab.lock"
OLDEST_PYTHON = (3, 11)
# In the environment: empty while it is being made, then how and from what it was made.
STAMP = "kapmeta-stamp"
DEBIAN_PIP_WHEELS = "/usr/share/python-wheels/pip-*.whl"

# Wheels only: building one from source would run code that no hash has pinned.
LOCKED = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement"]
IN_PLACE = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--editable"]

CHECKS = {
    "style": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy"],
    "imports": ["-c", "from importlinter.cli import lint_imports_command as check; check()"],
}


class Stop(Exception):
    """What is missing, in one line, with the last words of the program that failed if one did."""


class Installer(NamedTuple):
    """One way to make an environment and to fill it."""

    name: str
    make: list[str]
    install: list[str]


def environment_folder() -> Path:
    return Path(os.environ.get("KAPMETA_VENV") or ROOT / ".venv").absolute()


def interpreter(venv: Path) -> Path:
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def can_import(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None  # an empty folder of that name is no module


def installers(
    venv: Path,
    has: Callable[[str], bool] = can_import,
    find: Callable[[str], str | None] = shutil.which,
    wheels: Callable[[str], list[str]] = glob.glob,
) -> list[Installer]:
    """List every way this machine offers, best first; Debian splits venv, ensurepip and pip."""
    # An environment cannot be remade by its own Python: inside one, use the Python it came from.
    base = getattr(sys, "_base_executable", None) or sys.executable
    python = str(interpreter(venv))
    own_pip = [python, "-m", "pip", "install"]
    bare = [base, "-m", "venv", "--without-pip", str(venv)]
    found = []
    if has("venv") and has("ensurepip"):
        found.append(Installer("venv", [base, "-m", "venv", str(venv)], own_pip))
    if has("venv") and has("pip"):
        found.append(
            Installer("pip", bare, [sys.executable, "-m", "pip", "--python", python, "install"])
        )
    for wheel in wheels(DEBIAN_PIP_WHEELS) if has("venv") else []:
        found.append(Installer("pip-wheel", bare, [python, f"{wheel}/pip", "install"]))
    uv = find("uv")
    if uv:
        make = [uv, "venv", "--quiet", "--allow-existing", "--python", base, str(venv)]
        found.append(Installer("uv", make, [uv, "pip", "install", "--python", python]))
    virtualenv = find("virtualenv")
    if virtualenv:
        found.append(
            Installer("virtualenv", [virtualenv, "--quiet", "--python", base, str(venv)], own_pip)
        )
    return found


def child_environment(venv: Path) -> dict[str, str]:
    """Copy the caller's environment without what would let other packages in."""
    foreign = ("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "PIP_TARGET", "PIP_PREFIX")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {
        # A font cache that lasts, and needs no home folder.
        "MPLCONFIGDIR": str(venv / "var" / "matplotlib"),
        **kept,
        "VIRTUAL_ENV": str(venv),
        "PATH": str(interpreter(venv).parent) + os.pathsep + kept.get("PATH", ""),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",  # the same text under a C locale
        "PIP_USER": "0",
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def run(venv: Path, arguments: list[str]) -> int:
    return subprocess.call(
        [str(interpreter(venv)), *arguments], cwd=ROOT, env=child_environment(venv)
    )


def run_quietly(command: list[str], venv: Path) -> tuple[bool, str]:
    """Run a command; return whether it succeeded, and its output."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=child_environment(venv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    return done.returncode == 0, done.stdout


def say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Print one line: what is being done, then how long it took."""
    say(text, end=" ... ")
    start = time.monotonic()
    try:
        yield
    except BaseException:
        say("failed")
        raise
    say(f"{time.monotonic() - start:.1f} s")


def last_words(output: str) -> str:
    lines = [
        line for line in output.splitlines() if line.strip() and not line.startswith("WARNING")
    ]
    errors = [line for line in lines if line.lower().startswith("error")]
    return "".join(f"\n  {line}" for line in (errors or lines)[-4:])


def fingerprint(*files: Path) -> str:
    """Hash what an environment is made from; also its place, which an editable install holds."""
    digest = hashlib.sha256(f"{sys.version_info[0]}.{sys.version_info[1]} {ROOT}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def stamped(venv: Path) -> list[str]:
    stamp = venv / STAMP
    return stamp.read_text().split() if stamp.is_file() and interpreter(venv).exists() else []


def clear(venv: Path) -> None:
    """Make an empty, stamped folder; refuse to delete what run.py did not make."""
    if venv.exists() and any(venv.iterdir()):
        if not (venv / STAMP).is_file():
            raise Stop(
                f"{venv} was not made by run.py: move it away, or set KAPMETA_VENV to another"
                " folder"
            )
        shutil.rmtree(venv)
    venv.mkdir(parents=True, exist_ok=True)
    (venv / STAMP).touch()


def make_environment(venv: Path, ways: list[Installer]) -> Installer:
    """Make a new environment by the first way that works."""
    failures = ""
    for installer in ways:
        clear(venv)
        succeeded, output = run_quietly(installer.make, venv)
        if succeeded and interpreter(venv).exists():
            return installer
        failures += last_words(f"{installer.name}: {output}")
    shutil.rmtree(venv, ignore_errors=True)
    raise Stop(nothing_installs() + failures)


def nothing_installs() -> str:
    return (
        f"missing: a way to install packages for {sys.executable}; any of these will do: "
        "`apt install python3-venv`, `apt install python3-pip`, uv, virtualenv"
    )


def install(installer: Installer, venv: Path, arguments: list[str]) -> None:
    succeeded, output = run_quietly([*installer.install, *arguments], venv)
    if not succeeded:
        what = Path(arguments[-1]).name
        raise Stop(
            f"could not install {what}; no network, or no wheel for this"
            f" machine?{last_words(output)}"
        )


def set_up(venv: Path) -> None:
    """Make the environment of requirements.lock, kapmeta installed in place, unless it exists."""
    made_from = fingerprint(LOCK, ROOT / "pyproject.toml")
    if made_from in stamped(venv):
        return
    ways = installers(venv)
    if not ways:
        raise Stop(nothing_installs())
    packages = sum("==" in line for line in LOCK.read_text().splitlines())
    name = venv.name if venv.parent == ROOT else venv
    try:
        with progress(f"setting up {name} from {LOCK.name} ({packages} packages)"):
            installer = make_environment(venv, ways)
            install(installer, venv, [*LOCKED, str(LOCK)])
            install(installer, venv, [*IN_PLACE, str(ROOT)])
            (venv / STAMP).write_text(f"{installer.name} {made_from}\n")
    except OSError as error:
        reason = f"cannot write {venv} ({error.strerror})"
        raise Stop(f"{reason}: set KAPMETA_VENV to a folder that can be written") from None


def set_up_lab(venv: Path) -> None:
    made_from = fingerprint(LOCK, LAB_LOCK)
    made = stamped(venv)
    if made_from in made:
        return
    with progress(f"installing JupyterLab from {LAB_LOCK.name}"):
        installer = next(way for way in installers(venv) if way.name in made)
        install(installer, venv, [*LOCKED, str(LAB_LOCK)])
        (venv / STAMP).write_text(" ".join([*made, made_from]) + "\n")


def reproduce(venv: Path, rest: list[str]) -> int:
    return run(venv, ["-m", "kapmeta.review.reproduce", *rest])


def check(venv: Path, rest: list[str]) -> int:
    return run(venv, ["-m", "kapmeta.review.reproduce", "--check", *rest])


def test(venv: Path, rest: list[str]) -> int:
    """Run every check even if one fails; the tests last, so that their summary is read last."""
    checks = {} if rest else CHECKS
    failed = [name for name, arguments in checks.items() if not passes(venv, name, arguments)]
    everything = [] if rest else ["-n", "auto"]  # on every core; a chosen few are quicker on one
    code = run(venv, ["-m", "pytest", *everything, *rest])
    if failed:
        say("failed before the tests: " + ", ".join(failed))
    return code or int(bool(failed))


def passes(venv: Path, name: str, arguments: list[str]) -> bool:
    say(name, end=" ... ")
    start = time.monotonic()
    succeeded, output = run_quietly([str(interpreter(venv)), *arguments], venv)
    say(f"{time.monotonic() - start:.1f} s" if succeeded else "failed\n" + output.rstrip())
    return succeeded


def lab(venv: Path, rest: list[str]) -> int:
    set_up_lab(venv)
    return run(venv, ["-m", "jupyterlab", "--notebook-dir", str(ROOT / "notebooks"), *rest])


COMMANDS = {"reproduce": reproduce, "check": check, "test": test, "lab": lab}


def main(arguments: list[str]) -> int:
    if sys.version_info < OLDEST_PYTHON:
        version = ".".join(str(part) for part in sys.version_info[:3])
        say(f"kapmeta needs Python 3.11 or newer; {sys.executable} is {version}")
        return 2
    name, rest = (arguments[0], arguments[1:]) if arguments else ("reproduce", [])
    if name in ("-h", "--help", "help"):
        say(str(__doc__).strip())
        return 0
    if name not in COMMANDS:
        say(f'unknown command "{name}": the commands are {", ".join(COMMANDS)}')
        return 2
    venv = environment_folder()
    try:
        set_up(venv)
        return COMMANDS[name](venv, rest)
    except Stop as stop:
        say(str(stop))
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

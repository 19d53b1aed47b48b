"""run.py picks a way to install, says in one line what is missing, deletes only what it made."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import run
from tests.helpers.places import ROOT


def ways(
    tmp_path: Path, modules: str = "", programs: str = "", wheel: str = ""
) -> list[run.Installer]:
    return run.installers(
        tmp_path,
        has=modules.split().__contains__,
        find=lambda program: f"/bin/{program}" if program in programs.split() else None,
        wheels=lambda pattern: [wheel] if wheel else [],
    )


@pytest.mark.parametrize(
    ("machine", "names"),
    [
        ({"modules": "venv ensurepip pip", "programs": "uv"}, ["venv", "pip", "uv"]),
        ({"modules": "venv pip"}, ["pip"]),  # Debian without python3-venv
        (
            {"modules": "venv", "wheel": "/usr/share/python-wheels/pip-23.0.1-py3-none-any.whl"},
            ["pip-wheel"],
        ),
        ({"modules": "venv", "programs": "virtualenv"}, ["virtualenv"]),
        ({"programs": "uv virtualenv"}, ["uv", "virtualenv"]),
        ({"modules": "pip"}, []),  # nothing to make an environment with
        ({"modules": "venv"}, []),  # nothing to fill it with
    ],
)
def test_installers_are_what_the_machine_offers_best_first(tmp_path, machine, names):
    assert [way.name for way in ways(tmp_path, **machine)] == names


def test_pip_of_the_system_installs_into_the_environment_and_never_into_the_system(tmp_path):
    (way,) = ways(tmp_path, "venv pip")
    assert "--without-pip" in way.make
    assert way.install[-3:] == ["--python", str(run.interpreter(tmp_path)), "install"]
    assert "--break-system-packages" not in (ROOT / "run.py").read_text()


def test_an_environment_is_made_by_the_python_it_came_from(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "_base_executable", "/usr/bin/python3.11", raising=False)
    assert ways(tmp_path, "venv ensurepip")[0].make[0] == "/usr/bin/python3.11"


def test_nothing_to_install_with_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys):
    venv = tmp_path / "env"
    monkeypatch.setenv("KAPMETA_VENV", str(venv))
    monkeypatch.setattr(run, "installers", lambda venv: [])
    assert run.main(["test"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("missing: a way to install packages")
    assert "apt install python3-venv" in line
    assert not venv.exists()


def test_the_first_way_that_fails_gives_way_to_the_next(tmp_path):
    broken = run.Installer(
        "broken", [sys.executable, "-c", "raise SystemExit('no ensurepip here')"], []
    )
    venv = tmp_path / "env"
    python = run.interpreter(venv)
    make = (
        f"import pathlib; p = pathlib.Path({str(python)!r}); p.parent.mkdir(parents=True);"
        " p.touch()"
    )
    works = run.Installer("works", [sys.executable, "-c", make], [])
    assert run.make_environment(venv, [broken, works]) is works
    with pytest.raises(run.Stop, match=r"missing: .*\n.*no ensurepip here"):
        run.make_environment(venv, [broken])
    assert not venv.exists()


def test_a_failed_install_ends_with_the_words_of_pip_and_is_not_taken_for_done(
    tmp_path, monkeypatch, capsys
):
    venv = tmp_path / "env"
    monkeypatch.setenv("KAPMETA_VENV", str(venv))
    complaint = (
        "print('WARNING: noise'); print('ERROR: No matching distribution'); raise SystemExit(1)"
    )
    make = "import venv, sys; venv.create(sys.argv[1])"
    way = run.Installer(
        "pip", [sys.executable, "-c", make, str(venv)], [sys.executable, "-c", complaint]
    )
    monkeypatch.setattr(run, "installers", lambda venv: [way])
    for _ in range(2):  # the second time from the half-made environment
        assert run.main([]) == 1
        out = capsys.readouterr().out
        assert "could not install requirements.lock" in out
        assert out.endswith("\n  ERROR: No matching distribution\n")
        assert "noise" not in out


def test_an_environment_is_kept_until_what_it_was_made_from_changes(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==2.4.6\n")
    venv = tmp_path / "env"
    run.interpreter(venv).parent.mkdir(parents=True)
    run.interpreter(venv).touch()
    (venv / run.STAMP).write_text(f"venv {run.fingerprint(lock)}\n")
    assert run.fingerprint(lock) in run.stamped(venv)
    lock.write_text("numpy==2.4.7\n")
    assert run.fingerprint(lock) not in run.stamped(venv)
    before = run.fingerprint(lock)
    monkeypatch.setattr(run, "ROOT", tmp_path)
    assert run.fingerprint(lock) != before, "a moved repository needs a new editable install"
    run.interpreter(venv).unlink()
    assert run.stamped(venv) == [], "an environment whose Python is gone"


def test_a_folder_run_py_did_not_make_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(run.Stop, match="was not made by run.py"):
        run.clear(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_a_half_made_environment_is_made_anew(tmp_path):
    (tmp_path / run.STAMP).touch()
    (tmp_path / "left-over").touch()
    run.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [run.STAMP]


def test_a_place_that_cannot_be_a_folder_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KAPMETA_VENV", str(tmp_path / "file" / "env"))
    assert run.main([]) == 1
    assert "set KAPMETA_VENV to a folder that can be written" in capsys.readouterr().out


def test_other_packages_are_kept_out(tmp_path, monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET"):
        monkeypatch.setenv(name, "/elsewhere")
    child = run.child_environment(tmp_path)
    assert "/elsewhere" not in child.values()
    assert child["PYTHONNOUSERSITE"] == "1"
    assert child["PATH"].startswith(str(run.interpreter(tmp_path).parent))


def test_an_unknown_command_is_one_line_listing_the_commands(capsys):
    assert run.main(["tset"]) == 2
    assert (
        capsys.readouterr().out
        == 'unknown command "tset": the commands are reproduce, check, test, lab\n'
    )


def test_an_old_python_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    assert run.main([]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("kapmeta needs Python 3.11 or newer")
    assert line.endswith("is 3.9.2")


def test_an_old_python_gets_as_far_as_that_line():
    ast.parse((ROOT / "run.py").read_text(), feature_version=(3, 7))


def test_help_names_every_command():
    command = [sys.executable, ROOT / "run.py", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    for command in ("run.py ", "run.py check", "run.py test", "run.py lab"):
        assert command in shown.stdout


def test_arguments_after_test_go_to_pytest_alone(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(run, "run", lambda venv, arguments: calls.append(arguments) or 0)
    monkeypatch.setattr(
        run, "passes", lambda venv, name, arguments: calls.append(name) or name != "types"
    )
    assert run.test(tmp_path, ["tests/repository/test_run.py", "-k", "alone"]) == 0
    assert calls == [["-m", "pytest", "tests/repository/test_run.py", "-k", "alone"]]
    calls.clear()
    assert run.test(tmp_path, []) == 1, "a failed check fails the command, tests or no tests"
    assert calls == ["style", "format", "types", "imports", ["-m", "pytest", "-n", "auto"]]

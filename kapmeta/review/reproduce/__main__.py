"""The two commands: remake everything, or check that nothing would change."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from kapmeta.review.reproduce.comparing import differences, unlocked
from kapmeta.review.reproduce.running import Failure, remake


def reproduce(root: Path) -> int:
    """Remake everything under `root` and say what changed; return the exit code."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kapmeta-") as folder:
        scratch = Path(folder).resolve()
        remade = remake(root, scratch)
        changes = list(differences(root, scratch, exact=True, words=("before", "now")))
        for name in remade:
            _copy_if_changed(scratch / name, root / name)
    for change in changes:
        print(change)
    seconds = time.monotonic() - start
    print(
        f"remade {_count(len(remade), 'file')} in {seconds:.0f} s, {len(changes) or 'none'}"
        " changed:"
    )
    print(f"  results/    {_count(_ending(remade, '.csv'), 'table')}")
    print(f"  figures/    {_count(_ending(remade, '.svg'), 'figure')}, SVG and PNG")
    if _ending(remade, ".html"):
        print("  report/     index.html, the page for readers")
    print(f"  notebooks/  {_count(_ending(remade, '.ipynb'), 'notebook')}")
    print("  README.md   the findings in short: start here")
    return 0


def _ending(names: list[str], suffix: str) -> int:
    return sum(name.endswith(suffix) for name in names)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def check(root: Path) -> int:
    """Remake everything in a scratch copy and name what differs; return the exit code."""
    reason = unlocked(root / "requirements.lock")
    if reason:
        print(f"not the environment of requirements.lock ({reason}): comparing numbers, not bytes")
    with tempfile.TemporaryDirectory(prefix="kapmeta-") as folder:
        scratch = Path(folder).resolve()
        remade = remake(root, scratch)
        found = list(differences(root, scratch, exact=reason is None, words=("here", "remade")))
    for difference in found:
        print(difference)
    if found:
        print(f"{_count(len(found), 'file')} not as remade; `python3 run.py` rewrites what is made")
        return 1
    print(f"remade {_count(len(remade), 'file')}, all equal")
    return 0


def _copy_if_changed(new: Path, old: Path) -> None:
    if not old.is_file() or old.read_bytes() != new.read_bytes():
        old.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(new, old)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="kapmeta.review.reproduce", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; change nothing")
    parser.add_argument(
        "--root", type=Path, default=Path.cwd(), help="the repository (the working folder)"
    )
    chosen = parser.parse_args(arguments)
    try:
        return (check if chosen.check else reproduce)(chosen.root.resolve())
    except Failure as failure:
        print(failure)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

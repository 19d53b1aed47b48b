"""The house is as CONTRIBUTING.md draws it, and the tests have the same rooms as the package."""

from __future__ import annotations

import re

from tests.helpers.house import BLOCK, GUIDE, PACKAGE, picture
from tests.helpers.places import ROOT

TESTS = ROOT / "tests"
OF_THE_TESTS = {"helpers", "mutation", "reference"}  # what serves tests of several rooms
TEST_FILES = sorted(
    path
    for path in TESTS.rglob("test_*.py")
    if path.relative_to(TESTS).parts[0] not in {*OF_THE_TESTS, "repository"}
)


def test_the_picture_of_the_rooms_is_that_of_the_package() -> None:
    drawn = BLOCK.search(GUIDE.read_text(encoding="utf-8"))
    assert drawn, "CONTRIBUTING.md has no block of rooms"
    assert drawn[0] == picture(), "run `python -m tests.helpers.house`"


def test_the_guide_names_files_that_are_there() -> None:
    named = re.findall(r"`((?:[\w.]+/)+(?:[\w.-]+)?)`", BLOCK.sub("", GUIDE.read_text("utf-8")))
    assert len(named) > 20
    missing = [
        name for name in named if not any((top / name).exists() for top in (ROOT, PACKAGE, TESTS))
    ]
    assert missing == []


def test_folders_of_tests_are_rooms_of_the_package() -> None:
    rooms = {path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("__init__.py")}
    folders = {path.parent.relative_to(TESTS) for path in TEST_FILES}
    assert folders - rooms == set()
    kept = {path.name for path in TESTS.iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert kept - {str(room) for room in rooms} == {*OF_THE_TESTS, "repository"}


def test_no_room_holds_more_files_than_one_can_see() -> None:
    rooms = {path.parent for path in PACKAGE.rglob("__init__.py")}
    files = {str(room.relative_to(ROOT)): len(list(room.glob("*.py"))) for room in rooms}
    assert files.pop("kapmeta") <= 9
    assert {room: count for room, count in files.items() if count > 14} == {}

"""The picture of the rooms in CONTRIBUTING.md, made from the package itself.

``python -m tests.helpers.house`` writes it anew.
"""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from pathlib import Path

from tests.helpers.places import ROOT

PACKAGE = ROOT / "kapmeta"
GUIDE = ROOT / "CONTRIBUTING.md"
BLOCK = re.compile(r"(?<=<!-- rooms -->\n```text\n).*?(?=```\n<!-- end rooms -->)", re.DOTALL)


def floors() -> list[list[str]]:
    """Return the layers of the import contract, each with its rooms and modules."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one.get("containers") == ["kapmeta"])
    return [re.split(r"\s*[|:]\s*", layer) for layer in layers]


def purpose(folder: Path) -> str:
    """Return the first sentence of a room's docstring, without its full stop."""
    doc = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return " ".join(doc.split("\n\n")[0].split()).rstrip(".")


def lines_of(folder: Path, indent: str = "") -> list[str]:
    """List the modules of a room, and below them its own rooms with theirs."""
    modules = sorted(path.stem for path in folder.glob("*.py") if path.stem[:2] != "__")
    lines = textwrap.wrap(" ".join(modules), 96, initial_indent=indent, subsequent_indent=indent)
    for inner in sorted(path.parent for path in folder.glob("*/__init__.py")):
        named = [f"{inner.name}/", *lines_of(inner)]
        lines += textwrap.wrap(
            " ".join(named), 96, initial_indent=indent, subsequent_indent=f"{indent}    "
        )
    return lines


def picture() -> str:
    """Draw the rooms from the top floor to the ground, each with its purpose and its modules."""
    drawn = []
    for floor in floors():
        rooms = [name for name in floor if (PACKAGE / name).is_dir()]
        lines = [" ".join(sorted(f"{name}.py" for name in floor if name not in rooms))]
        for name in rooms:
            lines += textwrap.wrap(f"{name}/   {purpose(PACKAGE / name)}", 96)
            lines += lines_of(PACKAGE / name, "    ")
        drawn.append("\n".join(line for line in lines if line))
    return "\n\n".join(drawn) + "\n"


def main() -> None:
    """Write the picture into CONTRIBUTING.md."""
    text = GUIDE.read_text(encoding="utf-8")
    GUIDE.write_text(BLOCK.sub(lambda _: picture(), text), encoding="utf-8")


if __name__ == "__main__":
    main()

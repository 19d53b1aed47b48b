"""The table of reserved column names in README.md, made from the package itself.

``python -m tests.helpers.columns`` writes it anew.
"""

from __future__ import annotations

import re

import kapmeta as km
from tests.helpers.places import ROOT

README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=<!-- columns -->\n).*?(?=<!-- end columns -->)", re.DOTALL)


def table() -> str:
    """Draw the columns as Markdown, those of one meaning in one row."""
    names: dict[tuple[str, str], list[str]] = {}
    for row in km.effects.reserved_columns().itertuples():
        keyword = "`rename`" if row.keyword == "rename" else "its own name"
        names.setdefault((row.meaning, keyword), []).append(f"`{row.column}`")
    rows = [
        f"| {' '.join(columns)} | {meaning} | {key} |" for (meaning, key), columns in names.items()
    ]
    return "\n".join(["| column | meaning | keyword |", "|---|---|---|", *rows]) + "\n"


def main() -> None:
    """Write the table into README.md."""
    text = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(lambda _: table(), text), encoding="utf-8")


if __name__ == "__main__":
    main()

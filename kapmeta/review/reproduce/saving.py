"""Tables, figures and texts that a notebook saves, each under its one name."""

from __future__ import annotations

import html
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kapmeta.results.pooled import Pooled

# The tree to write to: set for a run, not for a notebook opened by hand.
OUTPUT = "KAPMETA_OUTPUT"


def save_table(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Write a table to ``results/NAME.csv`` with ten significant digits; return it.

    Parameters
    ----------
    frame : DataFrame
        The table. Its index is written unless it is the default one.
    name : str
        Lower-case words joined by hyphens: the one name of this table.

    Returns
    -------
    DataFrame
        `frame`, unchanged.

    Raises
    ------
    ValueError
        If `name` is not of that form, or if a notebook run by ``run.py`` writes the name a second
        time.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from unittest.mock import patch
    >>> import pandas as pd
    >>> from kapmeta.review.reproduce import save_table
    >>> table = pd.DataFrame({"study": ["Dakwar 2020"], "log_ratio": [2 / 3]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with patch.dict("os.environ", KAPMETA_OUTPUT=folder):
    ...         _ = save_table(table, "example")
    ...     print(Path(folder, "results", "example.csv").read_text(), end="")
    study,log_ratio
    Dakwar 2020,0.6666666667
    """
    text = frame.map(_ten_digits).to_csv(index=not _has_default_index(frame), lineterminator="\n")
    _destination("results", f"{name}.csv").write_bytes(text.encode())
    return frame


def save_figure(drawn: Axes | Figure, name: str, *, alt: str | None = None) -> None:
    """Write a figure to ``figures/NAME.svg`` and ``figures/NAME.png``.

    Parameters
    ----------
    drawn : Axes or Figure
        What a function of `kapmeta.plot` returned.
    name : str
        Lower-case words joined by hyphens: the one name of this figure.
    alt : str, optional
        What the figure shows, for readers who cannot see it; by default what the plot itself says.

    Raises
    ------
    ValueError
        If `name` is not of that form or was written before in this run, or if there is no text
        alternative.
    """
    from kapmeta.plot.saving import save

    save(drawn, _destination("figures", f"{name}.svg").with_suffix(""), alt=alt)


def save_text(text: str, name: str) -> None:
    """Write a text to ``results/NAME``.

    ``readme-PART.md`` becomes the generated part PART of README.md.

    Parameters
    ----------
    text : str
        Markdown or HTML, with its numbers already formatted.
    name : str
        The file's name, with its suffix.

    Raises
    ------
    ValueError
        If `name` is not of that form or was written before in this run.
    """
    _destination("results", name).write_bytes(f"{text.strip()}\n".encode())


def save_readme_table(frame: pd.DataFrame, part: str) -> pd.DataFrame:
    """Write a table as the generated part `part` of README.md, and return it to be shown.

    Parameters
    ----------
    frame : DataFrame
        A table of texts and numbers, already as they are to be read.
    part : str
        Name of the part: the text between its markers is replaced.

    Returns
    -------
    DataFrame
        `frame`, unchanged.
    """
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.to_numpy().tolist()]
    lines = [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows
    ]
    save_text("\n".join(lines), f"readme-{part}.md")
    return frame


def save_readme_gallery(results: Mapping[str, Pooled], part: str = "gallery") -> None:
    """Write figures with their text alternatives as a generated part of README.md.

    Parameters
    ----------
    results : mapping of str to Pooled
        Name of a saved figure to the result it shows.
    part : str
        The part's name.
    """
    lines = [f"![{result.alt_text()}](figures/{name}.svg)" for name, result in results.items()]
    save_text("\n\n".join(lines), f"readme-{part}.md")


def save_readme_thumbnails(
    figures: Mapping[str, tuple[str, Axes]], part: str = "kinds", columns: int = 4
) -> None:
    """Write small figures with captions and links as a generated part of README.md.

    A small figure is described by the first clause of its text alternative; the file it links to
    has the whole.

    Parameters
    ----------
    figures : mapping of str to tuple of str and Axes
        Name of a saved figure to its caption and the plot, which has a text alternative.
    part : str
        The part's name.
    columns : int
        Number of figures per row.
    """
    from kapmeta.plot.saving import alt_text

    width = f"{100 // columns}%"
    cells = [
        f'<td align="center" valign="bottom" width="{width}"><a href="figures/{name}.svg">'
        f'<img src="figures/{name}.svg" width="200"'
        f' alt="{_attribute(_first_clause(alt_text(axes)))}"></a>'
        f"<br><sub>{html.escape(caption)}</sub></td>"
        for name, (caption, axes) in figures.items()
    ]
    rows = [cells[first : first + columns] for first in range(0, len(cells), columns)]
    save_text(
        "\n".join(["<table>", *(f"<tr>\n{chr(10).join(row)}\n</tr>" for row in rows), "</table>"]),
        f"readme-{part}.md",
    )


def _first_clause(text: str) -> str:
    return re.split(r"[:;.](?=\s|$)", text.strip(), maxsplit=1)[0]


def _attribute(text: str) -> str:
    return html.escape(" ".join(text.split()))


def study_file(name: str) -> Path:
    """Find ``results/NAME.csv``, the table of a study that took hours and is not made again.

    Parameters
    ----------
    name : str
        The name of the table.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If there is no such table.
    """
    path = _output_root() / "results" / f"{name}.csv"
    if not path.is_file():
        raise FileNotFoundError(f"no table of a study: {path.name} is not in {path.parent}")
    return path


def _destination(folder: str, filename: str) -> Path:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.(csv|svg|md|html|txt|json)", filename):
        raise ValueError(
            f'a name is lower-case words joined by hyphens, as "alcohol-forest": "{filename}"'
        )
    path = _output_root() / folder / filename
    if OUTPUT in os.environ and path.exists():
        raise ValueError(
            f"{folder}/{filename} is written twice: give each table and figure its own name"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _output_root() -> Path:
    """Find the scratch tree of a run, or else the repository around the working folder."""
    if OUTPUT in os.environ:
        return Path(os.environ[OUTPUT])
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    raise FileNotFoundError(f"no repository around {here}: set {OUTPUT} to the folder to write to")


def _ten_digits(cell: object) -> object:
    # Cell by cell, for a column of mixed types too. Adding 0.0 makes a negative zero a zero.
    return f"{cell + 0.0:.10g}" if isinstance(cell, float) and not math.isnan(cell) else cell


def _has_default_index(frame: pd.DataFrame) -> bool:
    return frame.index.name is None and frame.index.equals(frame.reset_index(drop=True).index)

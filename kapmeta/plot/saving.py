"""Saving a figure: the same numbers give the same bytes, with a title and a description."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary
from xml.sax.saxutils import escape, quoteattr

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure

from kapmeta import checking
from kapmeta.plot.pixels import png_bytes

__all__ = ["DPI", "FORMATS", "alt_text", "describe", "root_of", "save"]

DPI = 300
"""Resolution of the pixel files."""

_DESCRIPTIONS: WeakKeyDictionary[Axes, tuple[str, str]] = WeakKeyDictionary()

_RC: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.image_inline": True,
    "text.hinting": "none",  # drawn widths are the measured widths, at any resolution
    "pdf.fonttype": 42,
    "savefig.bbox": None,
    "savefig.facecolor": "auto",
    "savefig.edgecolor": "auto",
    "savefig.transparent": False,
}
_HASHED = re.compile(r'\bid="((?:C[0-9a-f]+_[0-9a-f]+_)?[A-Za-z]?[0-9a-f]{10})"')
_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def describe(ax: Axes, title: str, alt: str) -> None:
    """Keep a title and a text alternative with `ax`; `save` writes them into the file."""
    _DESCRIPTIONS[ax] = (title, alt)


@checking.checked
def alt_text(figure: Figure | SubFigure | Axes) -> str:
    """Return the text for readers who cannot see the figure, one paragraph per described plot."""
    return "\n".join(alt for _, alt in _described(figure))


def _described(figure: Figure | SubFigure | Axes) -> list[tuple[str, str]]:
    axes = [figure] if isinstance(figure, Axes) else figure.axes
    return [_DESCRIPTIONS[ax] for ax in axes if ax in _DESCRIPTIONS]


def root_of(figure: Figure | SubFigure | Axes) -> Figure:
    """Find the figure that holds it all."""
    if not isinstance(figure, Figure | SubFigure | Axes):
        raise TypeError(
            "figure must be what a plot function returned, or the figure it is in: got"
            f" {type(figure).__name__}"
        )
    found = figure.figure
    while found is not None and not isinstance(found, Figure):
        found = found.figure
    if found is None:
        raise ValueError("this Axes is in no figure")
    return found


@checking.checked
def save(
    figure: Figure | SubFigure | Axes,
    stem: str | Path,
    *,
    alt: str | None = None,
    title: str | None = None,
    formats: Iterable[str] | None = None,
) -> tuple[Path, ...]:
    """Write a figure to ``stem.svg``, ``stem.png`` ...: the same numbers give the same bytes.

    A name that ends in ``.svg``, ``.png`` or ``.pdf`` is the name of the one file written.

    The whole figure is written, also when one of its axes is given. Text in SVG is drawn as
    outlines and the file has ``<title>``, ``<desc>`` and ``role="img"``; PNG has 300 dots an
    inch; PDF embeds its fonts. No date, no software name and no random identifier is written. Not
    for interactive or cropped output: use Matplotlib's own ``savefig`` for that.

    Parameters
    ----------
    figure : Figure, SubFigure or Axes
        What a plot function returned, or the figure it is in.
    stem : str or Path
        Path without suffix, whose last part is the name of the figure; or the whole name of one
        file, such as ``"forest.pdf"``. The folder must exist.
    alt : str, optional
        Text alternative; by default that which the plots in the figure have written from their
        results.
    title : str, optional
        Short title inside the file; by default that of the first plot.
    formats : iterable of str, optional
        Words of `FORMATS`: ``"svg"``, ``"png"``, ``"pdf"``; the first two by default. Not with the
        whole name of a file.

    Returns
    -------
    tuple of Path
        The files written, in the order of `formats`.

    Raises
    ------
    ValueError
        If a format is not known, or differs from the ending of the name; if the folder does not
        exist; if there is no text alternative.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from matplotlib.figure import Figure
    >>> from kapmeta.plot.saving import save
    >>> folder = Path(tempfile.mkdtemp())
    >>> paths = save(Figure(), folder / "empty", alt="Nothing is drawn.", title="Empty")
    >>> [path.name for path in paths]
    ['empty.svg', 'empty.png']
    >>> [path.name for path in save(Figure(), folder / "one.pdf", alt="Nothing is drawn.")]
    ['one.pdf']
    """
    root = root_of(figure)
    stem, files = _files_named(stem, formats)
    described = _described(root)
    alt = alt if alt is not None else "\n".join(text for _, text in described)
    title = title if title is not None else next((name for name, _ in described), stem.name)
    if not alt.strip():
        raise ValueError(
            f'figure "{stem.name}" has no text alternative; give alt="what it shows, and the'
            ' finding"'
        )
    texts = [_UNPRINTABLE.sub("", text) for text in (title, alt)]
    with matplotlib.rc_context({**_RC, "svg.hashsalt": stem.name}):
        for word, path in files:
            path.write_bytes(FORMATS[word](root, stem.name, *texts))
    return tuple(path for _, path in files)


_OTHER_ENDINGS = ("eps", "gif", "jpeg", "jpg", "pgf", "ps", "raw", "tif", "tiff", "webp")


def _files_named(
    stem: str | Path, formats: Iterable[str] | None
) -> tuple[Path, list[tuple[str, Path]]]:
    """Return the path without suffix, and the format and path of each file to write."""
    if not isinstance(stem, str | Path) or not Path(stem).name:
        raise TypeError(f"stem must be the path of a figure, e.g. 'figures/forest': got {stem!r}")
    path = Path(stem)
    if not path.parent.is_dir():
        raise ValueError(f'stem: there is no folder "{path.parent}"; make it first')
    if formats is not None and (isinstance(formats, str) or not isinstance(formats, Iterable)):
        raise TypeError(f'formats must be a list, e.g. ["svg", "png"]: got {formats!r}')
    ending = path.suffix.removeprefix(".").lower()
    words = ("svg", "png") if formats is None else tuple(formats)
    unknown = [word for word in words if word not in FORMATS]
    if ending in _OTHER_ENDINGS or unknown:
        what = f'formats has "{unknown[0]}"' if unknown else f'stem ends in ".{ending}"'
        raise ValueError(f"{what}, which is not known; use: {', '.join(FORMATS)}")
    if ending not in FORMATS:
        return path, [(word, path.with_name(f"{path.name}.{word}")) for word in words]
    if formats is not None and words != (ending,):
        raise ValueError(
            f'stem ends in ".{ending}" but formats are {", ".join(words) or "none"}; leave the'
            " ending or formats out"
        )
    return path.with_suffix(""), [(ending, path)]


def _rendered(figure: Figure, word: str, metadata: dict[str, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=word, dpi=DPI, metadata=metadata, **options)
    return buffer.getvalue()


def _svg(figure: Figure, name: str, title: str, alt: str) -> bytes:
    drawn = (
        _rendered(figure, "svg", {"Date": None, "Creator": None})
        .decode("utf-8")
        .replace("\r\n", "\n")
    )
    return _spoken(_renumbered(drawn, name), name, title, alt).encode("utf-8")


def _png(figure: Figure, name: str, title: str, alt: str) -> bytes:
    own, dpi = figure.canvas, figure.dpi
    canvas = FigureCanvasAgg(figure)  # without a window that would follow the resolution
    try:
        figure.set_dpi(DPI)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        return png_bytes(pixels, DPI, {"Title": title, "Description": alt})
    finally:
        figure.set_dpi(dpi)
        figure.set_canvas(own)


def _pdf(figure: Figure, name: str, title: str, alt: str) -> bytes:
    nothing = {"CreationDate": None, "Creator": None, "Producer": None}
    return _rendered(figure, "pdf", {**nothing, "Title": title, "Subject": alt})


FORMATS: dict[str, Callable[[Figure, str, str, str], bytes]] = {
    "svg": _svg,
    "png": _png,
    "pdf": _pdf,
}
"""File formats by name: from the figure, its name, title and text alternative to bytes."""


def _renumbered(svg: str, name: str) -> str:
    """Replace identifiers hashed from coordinates by numbers that no other file has.

    A hash of coordinates changes with the last bit of a float, which differs between machines.
    """
    prefix = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    number = {
        old: f"{prefix}-{i}" for i, old in enumerate(dict.fromkeys(_HASHED.findall(svg)), start=1)
    }
    if not number:
        return svg
    known = re.compile(r'(?<=[#"])(' + "|".join(map(re.escape, number)) + r')(?=[")])')
    return known.sub(lambda match: number[match.group(1)], svg)


def _spoken(svg: str, name: str, title: str, alt: str) -> str:
    """Add the title and description as first children of `svg`, announced as an image."""
    names = [re.sub(r"[^A-Za-z0-9_-]", "-", name) + ending for ending in ("-title", "-desc")]
    head = f' role="img" aria-labelledby={quoteattr(" ".join(names))}>'
    texts = "".join(
        f"\n <{tag} id={quoteattr(key)}>{escape(text)}</{tag}>"
        for tag, key, text in zip(("title", "desc"), names, (title, alt), strict=True)
    )
    return re.sub(r"(<svg\b[^>]*)>", lambda match: match.group(1) + head + texts, svg, count=1)

"""Pixels to a PNG file: a page of mostly paper is packed faster, and smaller, unfiltered."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

__all__ = ["png_bytes"]

BAND = 32
LEVEL = 3  # beyond it zlib takes twice the time for a tenth of the bytes


def png_bytes(pixels: npt.NDArray[np.uint8], dpi: float, texts: Mapping[str, str]) -> bytes:
    """Pack `pixels`, shape (height, width, 4), into a PNG file with resolution and `texts`.

    The alpha channel is left out where every pixel is opaque.

    Examples
    --------
    >>> import numpy as np
    >>> png_bytes(np.zeros((2, 3, 4), np.uint8), 300, {"Title": "Nothing"})[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    height, width = pixels.shape[:2]
    channels = 3 if pixels[..., 3].min(initial=255) == 255 else 4
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, 9)
    band = np.zeros((BAND, 1 + channels * width), np.uint8)  # the first byte of a row: no filter
    inside = band[:, 1:].reshape(BAND, width, channels)
    data = b""
    for top in range(0, height, BAND):  # a few rows at a time stay in the cache
        rows = pixels[top : top + BAND]
        for channel in range(channels):  # three times as fast as all in one
            inside[: len(rows), :, channel] = rows[..., channel]
        data += packer.compress(band[: len(rows)].data)
    data += packer.flush()
    colour = {3: 2, 4: 6}[channels]
    dots = round(dpi / 0.0254)  # a metre
    parts = [
        _part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)),
        _part(b"pHYs", struct.pack(">IIB", dots, dots, 1)),
        *_text_chunks(texts),
        _part(b"IDAT", data),
        _part(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _text_chunks(texts: Mapping[str, str]) -> Iterator[bytes]:
    for keyword, text in texts.items():
        yield _part(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8"))

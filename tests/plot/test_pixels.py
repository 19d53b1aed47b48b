"""Pixels come back from the PNG file as they were."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from PIL import Image

from kapmeta.plot.pixels import png_bytes

matplotlib.use("Agg")


def test_pixels_survive_the_file(tmp_path: object) -> None:
    import io

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (7, 5, 4), dtype=np.uint8)
    with Image.open(io.BytesIO(png_bytes(pixels, 300, {"Title": "Τίτλος"}))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
        assert image.info["Title"] == "Τίτλος"
        assert image.info["dpi"] == pytest.approx((300, 300), rel=1e-3)
    pixels[..., 3] = 255
    with Image.open(io.BytesIO(png_bytes(pixels, 300, {}))) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), pixels[..., :3])

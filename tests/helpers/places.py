"""Where the tests find the repository, its data and the reference values."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
REFERENCE = ROOT / "tests" / "reference"

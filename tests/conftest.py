"""For every test: no window opens, and chance is the same in every CI run."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ["MPLBACKEND"] = "agg"

# A shared machine is slow now and then; a failure found in CI is found again at home.
settings.register_profile("kapmeta", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("kapmeta")

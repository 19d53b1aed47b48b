"""Records of rma.glmm (tests/reference 07_glmm) that the package offers, by method."""

from __future__ import annotations

from typing import Any

from tests.helpers.r_values import records


def word_of(record: dict[str, Any]) -> str:
    """Return the model of a record by the name that metafor or meta gives it."""
    s = record["settings"]
    return s.get("model", s.get("model.glmm", ""))


def is_offered(record: dict[str, Any]) -> bool:
    """Tell whether the package offers the model of a record."""
    return record["measure"] == "OR" and "mods" not in record["settings"]


ML = [r for r in records("07_glmm") if is_offered(r) and r["settings"]["method"] == "ML"]
EE = [r for r in records("07_glmm") if is_offered(r) and r["settings"]["method"] == "EE"]


def record_id(record: dict[str, Any]) -> str:
    """Name a record for its test."""
    s = record["settings"]
    extra = [f"{k}={s[k]}" for k in ("method", "nAGQ", "coding", "test", "cor") if k in s]
    return "-".join([record["dataset"], word_of(record), *extra])

"""Status codes that say how each row of a batch was computed."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """How a row of results came about; 0 where it was computed as requested.

    A batch never raises for one impossible row: its limits are nan and its status says why.

    Examples
    --------
    >>> Status(2), Status.REFUSED.meaning
    (<Status.ONE_STUDY: 2>, 'the method gives no interval for these data')
    """

    OK = 0
    NO_STUDIES = 1
    ONE_STUDY = 2
    INVALID_INPUT = 3
    REFUSED = 4
    FALLBACK = 5

    @property
    def meaning(self) -> str:
        """One sentence for a reader."""
        return _MEANINGS[self]


_MEANINGS = {
    Status.OK: "computed as named",
    Status.NO_STUDIES: "no study is present",
    Status.ONE_STUDY: "one study: its own interval is shown, nothing is pooled",
    Status.INVALID_INPUT: "an estimate is not finite, a variance not positive, or tau2 missing",
    Status.REFUSED: "the method gives no interval for these data",
    Status.FALLBACK: "the method is undefined here: the interval it refines is shown instead",
}

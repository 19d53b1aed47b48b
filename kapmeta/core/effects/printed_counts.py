"""Counts from the percentages that a paper prints in their place."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple


class Candidates(NamedTuple):
    """Counts that a printed percentage may represent.

    Attributes
    ----------
    counts : range
        All of them, ascending; empty if there is none.
    consistent : bool
        False if no count rounds to the percentage as printed, so that `counts` are those one unit
        in the last place away (a percentage cut off, or rounded twice).
    """

    counts: range
    consistent: bool


def last_place(percent: str) -> Fraction:
    """Return one unit in the last place of a number as printed."""
    return Fraction(1, 10 ** len(percent.partition(".")[2]))


def _counts_within(percent: str, n: int, distance: Fraction) -> range:
    """List counts x of n with ``|100 x / n - percent|`` at most `distance`."""
    low, high = (Fraction(percent) - distance) * n / 100, (Fraction(percent) + distance) * n / 100
    return range(max(0, ceil(low)), min(n, floor(high)) + 1)


def candidate_counts(percent: str, n: int) -> Candidates:
    """List the counts out of `n` that round to a percentage as printed (GRIM) [1]_.

    For reading a count from a percentage, or checking it against one. One count: use it. Several:
    the percentage does not settle it; analyse the lowest and the highest. None: the counts one unit
    in the last place away come back with ``consistent`` False; try the other denominators of the
    paper (completers, per protocol) too.

    Parameters
    ----------
    percent : str
        In per cent, with the decimals as printed: ``"44"``, ``"48.0"``.
    n : int
        The denominator, at least 1.

    Returns
    -------
    Candidates
        ``counts, consistent``. Halves may have been rounded up, down or to even; a percentage cut
        off is not rounded. The comparison is exact, in fractions.

    Raises
    ------
    ValueError
        If `percent` is not a decimal number or `n` is below 1.

    References
    ----------
    .. [1] Brown NJL, Heathers JAJ. The GRIM test: a simple technique detects numerous anomalies in
       the reporting of results in psychology. Soc Psychol Personal Sci 2017;8:363-369.
       https://doi.org/10.1177/1948550616673876

    Examples
    --------
    Krupitsky 1997, 65.8% of 111; Dakwar 2019, 48.2% of 27, which no count rounds to:

    >>> candidate_counts("65.8", 111)
    Candidates(counts=range(73, 74), consistent=True)
    >>> candidate_counts("48.2", 27)
    Candidates(counts=range(13, 14), consistent=False)
    """
    if n < 1:
        raise ValueError(f"n must be at least 1: n = {n}")
    rounded = _counts_within(percent, n, last_place(percent) / 2)
    if rounded:
        return Candidates(rounded, True)
    return Candidates(_counts_within(percent, n, last_place(percent)), False)

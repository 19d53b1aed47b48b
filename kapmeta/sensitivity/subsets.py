"""All subsets of the studies, or a sample of them."""

from __future__ import annotations

import numpy as np

from kapmeta import checking
from kapmeta.core.numerics.arrays import IntArray
from kapmeta.core.pooling.combining import Combined
from kapmeta.core.sensitivity import subsets
from kapmeta.pooling.exact_models import EXACT_MODELS
from kapmeta.results.pooled import Pooled
from kapmeta.results.subsets import Subsets, blocks, membership
from kapmeta.sensitivity.deletion import refit_of

__all__ = ["all_subsets"]

_MOST_LISTED = 22  # 2^22 subsets and their results are 0.4 GB
_MOST_NAMED = 62  # a subset is a whole number of 64 bits
_DEFAULT_SAMPLE = 100_000
_FITS_A_SECOND, _MOST_FITTED = 25, 10_000  # of exact models


@checking.checked
def all_subsets(
    pooled: Pooled,
    *,
    smallest: int = 1,
    sample: int | None = None,
    rng: np.random.Generator | None = None,
) -> Subsets:
    """Repeat the analysis in every subset of the studies.

    Shows whether the estimates fall into groups, and which trial the grouping follows (GOSH). With
    k studies there are 2^k - 1 subsets; above 22 studies only a random sample of them can be held.

    Parameters
    ----------
    pooled : Pooled
        As in `leave_one_out`.
    smallest : int
        Fewest studies of a subset.
    sample : int, optional
        Draw so many subsets at random, each study in with probability one half, instead of listing
        all.
    rng : numpy.random.Generator, optional
        Source of chance for `sample`; a fixed one by default, so that a second call gives the same.

    Returns
    -------
    Subsets
        One row per subset.

    Raises
    ------
    ValueError
        If there are too many subsets to hold, with the size they would take, or to fit one by one,
        with the time; if `smallest` exceeds the studies.

    References
    ----------
    .. [1] Olkin I, Dahabreh IJ, Trikalinos TA. GOSH: a graphical display of study heterogeneity.
       Res Synth Methods 2012;3:214-223. https://doi.org/10.1002/jrsm.1053

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.sensitivity.subsets import all_subsets
    >>> all_subsets(km.pool(km.risk_ratio(km.load_example("bcg")), model="common"))
    Subsets(8191 of 13 studies, RR)
    """
    labels, refit = refit_of(pooled, 2, "an analysis of subsets")
    k = len(labels)
    smallest = checking.whole_number(smallest, "smallest", at_least=1)
    sample = None if sample is None else checking.whole_number(sample, "sample", at_least=1)
    rng = checking.generator(rng)
    if smallest > k:
        raise ValueError(f"smallest must lie between 1 and the {k} studies pooled: got {smallest}")
    if sample is None and k <= _MOST_LISTED and smallest == 1 and _plain_common(pooled):
        there = pooled.effects.present
        found = subsets.common_effects(
            pooled.effects.y[there], pooled.effects.v[there], level=pooled.method.level
        )
        return Subsets(np.arange(1, 2**k), found, pooled, tuple(labels))
    codes = _codes(k, smallest, sample, rng)
    _refuse_slow(pooled, codes.size)
    parts = [refit(membership(codes[rows], k)) for rows in blocks(codes.size)]
    fields = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    return Subsets(codes, Combined(*fields), pooled, tuple(labels), sample is not None)


def _plain_common(pooled: Pooled) -> bool:
    return pooled.method.model == "common" and pooled.method.ci == "wald"


def _refuse_slow(pooled: Pooled, subsets: int) -> None:
    """Refuse to fit models for hours that are fitted subset by subset."""
    if subsets > _MOST_FITTED and pooled.method.model in {
        model.name for model in EXACT_MODELS.values()
    }:
        raise ValueError(
            f"{pooled.method.model} is fitted subset by subset, some {1 / _FITS_A_SECOND:g} s each:"
            f" {subsets} subsets would take {subsets / _FITS_A_SECOND / 3600:.1g} hours; draw at"
            f" most {_MOST_FITTED}, e.g. sample={_MOST_FITTED // 10}"
        )


def _codes(k: int, smallest: int, sample: int | None, rng: np.random.Generator) -> IntArray:
    """Draw up the numbers of the subsets: all of them, or a sample."""
    if k > _MOST_NAMED:
        raise ValueError(
            f"subsets of more than {_MOST_NAMED} studies cannot be numbered: {k} were pooled"
        )
    if sample is None:
        if k > _MOST_LISTED:
            size = 2.0**k * (k + 80) / 1e9
            raise ValueError(
                f"2^{k} subsets of {k} studies and their results would take {size:,.1f} GB; "
                f"draw some instead, e.g. sample={_DEFAULT_SAMPLE}"
            )
        codes = np.arange(1, 2**k)
        return codes[np.bitwise_count(codes) >= smallest]
    drawn = np.zeros(0, dtype=np.int64)
    while drawn.size < sample:
        more = rng.integers(1, 2**k, size=sample)
        drawn = np.concatenate([drawn, more[np.bitwise_count(more) >= smallest]])
    return drawn[:sample]

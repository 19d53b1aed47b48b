"""Exact inference on a common odds ratio: two-by-two tables given their margins.

Given the totals of a table, its events under treatment follow the noncentral hypergeometric
distribution, in which the odds ratio is the only unknown: the risk under control, which differs
from trial to trial, is gone. The events of several trials add up, and the distribution of their sum
is the product of polynomials. Everything is done in logarithms, so that no table is too large.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.effects.counts import broadcast_floats, continuity_corrected
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.roots import bracketed_root
from kapmeta.core.numerics.status import Status

_TERMS_AT_ONCE = 1 << 22
_EQUALLY_LIKELY = 1e-7  # as likely as the observed outcome, to rounding: the margin of fisher.test

TAILS: dict[str, float] = {"exact": 1.0, "mid-p": 0.5}
"""Intervals by name: the share of the observed outcome's probability that counts as its tail."""


class ExactOddsRatio(NamedTuple):
    """A common odds ratio and its interval; each field has the leading shape (...) of the input.

    Attributes
    ----------
    estimate : ndarray of float
        Conditional maximum likelihood estimate of the log odds ratio; -inf or inf if the events
        under treatment are as few or as many as the margins allow, nan if the margins allow one
        outcome only.
    low, high : ndarray of float
        Limits on the log scale; infinite on the side on which the data set none.
    p_value : ndarray of float
        Two-sided exact p-value of no effect: the null probability of all outcomes no likelier than
        the one observed. It does not come from the interval, and may be below 0.05 when the 95 %
        interval contains 0.
    k, k_informative : ndarray of int
        Tables present, and those with more than one possible outcome.
    status : ndarray of int
        A code of `kapmeta.core.numerics.status.Status`; ``REFUSED`` where no table is informative.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray
    k: IntArray
    k_informative: IntArray
    status: IntArray


def check_level(level: float) -> None:
    """Refuse a confidence level that is no proportion."""
    if not 0 < level < 1:
        raise ValueError(
            f"level must lie between 0 and 1, a proportion: got {level}; use 0.95 for 95 %"
        )


def log_coefficients(
    n_t: FloatArray, n_c: FloatArray, total: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute log hypergeometric coefficients, up to a constant.

    The coefficients are ``C(n_t, x) C(n_c, total - x)``.

    Parameters
    ----------
    n_t, n_c, total : ndarray
        Participants of the two arms and events of both together, shape (...).

    Returns
    -------
    lowest : ndarray, shape (...)
        The fewest events possible under treatment.
    coefficients : ndarray, shape (..., outcomes)
        Place i is for ``lowest + i`` events, -inf where impossible; 0 at the likeliest. Ratios of
        neighbours are summed outwards from there, which keeps digits that logarithms of factorials
        lose in large tables.

    Examples
    --------
    >>> import numpy as np
    >>> lowest, coefficients = log_coefficients(np.array(3.0), np.array(2.0), np.array(2.0))
    >>> np.exp(coefficients) * 6
    array([1., 6., 3.])
    """
    lowest, most = np.maximum(total - n_c, 0.0), np.minimum(n_t, total)
    x = lowest[..., None] + np.arange(int((most - lowest).max(initial=0.0)))  # from x to x + 1
    n1, n2, m = n_t[..., None], n_c[..., None], total[..., None]
    possible = x < most[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.log((n1 - x) * (m - x) / ((x + 1) * (n2 - m + x + 1)))
    step = np.where(possible, step, 0.0)
    rising = x < np.floor((n1 + 1) * (m + 1) / (n1 + n2 + 2))  # below the mode
    left = np.where(rising, -step, 0.0)[..., ::-1].cumsum(-1)[..., ::-1]
    right = np.where(possible, np.where(rising, 0.0, step).cumsum(-1), -np.inf)
    first = np.zeros((*x.shape[:-1], 1))
    return lowest, np.concatenate([left, first], axis=-1) + np.concatenate([first, right], axis=-1)


def _product(p: FloatArray, q: FloatArray) -> FloatArray:
    """Multiply polynomials given by log coefficients, shape (rows, terms)."""
    if p.shape[-1] < q.shape[-1]:
        p, q = q, p
    length = p.shape[-1]
    product = np.full((p.shape[0], length + q.shape[-1] - 1), -np.inf)
    for i in range(q.shape[-1]):
        here = product[:, i : i + length]
        np.logaddexp(here, p + q[:, i, None], out=here)
    return product


def _log_sum(terms: FloatArray, among: BoolArray) -> FloatArray:
    """Compute the log-sum-exp over the last axis of the places `among`; -inf of none."""
    terms = np.where(among, terms, -np.inf)
    top = terms.max(-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray((top + np.log(np.exp(terms - top).sum(-1, keepdims=True)))[..., 0])


def _widest(coefficients: FloatArray, tail: float) -> FloatArray:
    """Bound the log odds ratios at which a tail may still be as large as `tail`.

    A neighbour outweighs all outcomes on the far side once its factor exceeds their number times
    the range of the coefficients.
    """
    finite = np.isfinite(coefficients)
    depth = -np.where(finite, coefficients - coefficients.max(-1, keepdims=True), 0.0).min(-1)
    number = coefficients.shape[-1]
    return np.asarray(depth + 2 * np.log(number) - np.log(min(tail, 1 - 2 * tail) / 2))


def _conditional_mle(
    offset: FloatArray, coefficients: FloatArray, widest: FloatArray
) -> FloatArray:
    """Solve E(A) = observed, as a balance of what lies above and below on the log scale."""
    above, below = offset > 0, offset < 0
    with np.errstate(divide="ignore"):
        weighted = coefficients + np.log(np.abs(offset))
    possible = np.isfinite(coefficients)
    has_above, has_below = (possible & above).any(-1), (possible & below).any(-1)
    between = has_above & has_below

    def balance(theta: FloatArray) -> FloatArray:
        terms = weighted + theta[..., None] * offset
        up, down = _log_sum(terms, above), _log_sum(terms, below)
        return np.where(between, up, np.nan) - np.where(between, down, 0.0)

    root = bracketed_root(balance, -widest, widest)
    one_sided = np.where(has_above, -np.inf, np.where(has_below, np.inf, np.nan))
    return np.where(between, root, one_sided)


def _lower_limit(
    offset: FloatArray, coefficients: FloatArray, widest: FloatArray, tail: float, share: float
) -> FloatArray:
    """Solve for the log odds ratio at which the upper tail has probability `tail`.

    The tail holds what exceeds the observed outcome, and `share` of that outcome. It is solved as
    log odds of the tail, which is nearly straight and exact however small the tail.
    """
    at_or_above, at_or_below = offset >= 0, offset <= 0
    observed = offset == 0
    with np.errstate(divide="ignore"):
        within, without = float(np.log(share)), float(np.log(1 - share))
    inside = coefficients + np.where(observed, within, 0.0)
    outside = coefficients + np.where(observed, without, 0.0)
    log_odds = float(np.log(tail) - np.log1p(-tail))
    limited = np.isfinite(np.where(offset < 0, coefficients, -np.inf)).any(-1)

    def excess(theta: FloatArray) -> FloatArray:
        tilt = theta[..., None] * offset
        up, down = _log_sum(inside + tilt, at_or_above), _log_sum(outside + tilt, at_or_below)
        return np.where(limited, up, np.nan) - np.where(limited, down, 0.0) - log_odds

    return np.where(limited, bracketed_root(excess, -widest, widest), -np.inf)


def _exact_p_value(offset: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Sum the null probabilities of the outcomes no likelier than the one observed."""
    observed = np.where(offset == 0, coefficients, -np.inf).max(-1, keepdims=True)
    unlikely = coefficients <= observed + _EQUALLY_LIKELY
    possible = np.isfinite(coefficients)
    return np.asarray(np.exp(_log_sum(coefficients, unlikely) - _log_sum(coefficients, possible)))


def _distribution(
    a: FloatArray, n1: FloatArray, c: FloatArray, n2: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute the outcomes, less the one observed, and their log coefficients.

    The outcomes are sums of treated events over tables; shape (rows, outcomes).
    """
    lowest = np.zeros(a.shape[0])
    product = np.zeros((a.shape[0], 1))
    for i in range(a.shape[1]):
        low, coefficients = log_coefficients(n1[:, i], n2[:, i], a[:, i] + c[:, i])
        lowest, product = lowest + low, _product(product, coefficients)
    return (lowest - a.sum(-1))[:, None] + np.arange(product.shape[1]), product


def _inferred(
    cells: tuple[FloatArray, ...], tail: float, share: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Compute estimate, limits and p-value of rows of tables."""
    offset, coefficients = _distribution(*cells)
    widest = _widest(coefficients, tail)
    low = _lower_limit(offset, coefficients, widest, tail, share)
    high = -_lower_limit(-offset, coefficients, widest, tail, share)
    return (
        _conditional_mle(offset, coefficients, widest),
        low,
        high,
        _exact_p_value(offset, coefficients),
    )


def _inferred_in_blocks(cells: list[FloatArray], tail: float, share: float) -> list[FloatArray]:
    """Compute `_inferred` of any number of rows in blocks, so that memory is limited."""
    a, n1, c, _ = cells
    outcomes = 1 + int(np.minimum(n1, a + c).sum(-1).max(initial=0))
    size = max(1, _TERMS_AT_ONCE // outcomes)
    starts = range(0, max(len(a), 1), size)
    blocks = [_inferred(tuple(x[i : i + size] for x in cells), tail, share) for i in starts]
    return [np.concatenate(pieces) for pieces in zip(*blocks, strict=True)]


def common_odds_ratio(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    interval: str = "exact",
    level: float = 0.95,
    mask: npt.ArrayLike | None = None,
) -> ExactOddsRatio:
    """Compute exact estimate, interval and p-value of a common odds ratio [1]_ [2]_.

    For one trial, or for a few that are taken to share an odds ratio, however few their events: no
    cell is corrected and nothing is approximate. Not when effects differ between trials: no
    between-study variance enters.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, whole numbers, shape (..., k), the last axis
        holding trials. A table with a nan, or with an arm of nobody, is absent. An impossible or
        fractional table makes its row nan.
    interval : str
        ``"exact"`` never covers less than `level`, and usually more; ``"mid-p"`` counts half the
        probability of the outcome observed and covers about `level` on average.
    level : float
        Confidence level, a proportion.
    mask : array_like of bool, shape (..., k), optional
        Which tables take part.

    Returns
    -------
    ExactOddsRatio
        ``estimate, low, high, p_value, k, k_informative, status``, on the log scale. A table in
        which nobody or everybody had the event changes nothing; of such tables only, the estimate
        is nan, the interval is all numbers and the p-value 1.

    Raises
    ------
    ValueError
        If `interval` is not a word of `TAILS` or `level` not a proportion.

    References
    ----------
    .. [1] Gart JJ. Point and interval estimation of the common odds ratio in the combination of 2 x
       2 tables with fixed marginals. Biometrika 1970;57:471-475.
    .. [2] Mehta CR, Patel NR, Gray R. Computing an exact confidence interval for the common odds
       ratio in several 2 x 2 contingency tables. J Am Stat Assoc 1985;80:969-973.
       https://doi.org/10.1080/01621459.1985.10478212

    Examples
    --------
    Dakwar 2019, abstinence from cocaine at six months, 12 of 27 against 0 of 28: no estimate, but a
    lower limit.

    >>> import numpy as np
    >>> one = common_odds_ratio([12], [27], [0], [28])
    >>> float(one.estimate), float(np.exp(one.low).round(4)), float(one.p_value.round(7))
    (inf, 4.271, 3.96e-05)

    Krupitsky 1997 and Dakwar 2020, abstinence from alcohol:

    >>> both = common_odds_ratio([73, 14], [111, 17], [24, 15], [100, 23])
    >>> np.exp([both.estimate, both.low, both.high]).round(3)
    array([5.39 , 2.987, 9.968])
    """
    # 1. the tables that take part: present, chosen, of whole numbers; others count as empty
    # 2. what each row holds, and its status
    # 3. estimate, limits and p-value of each row
    if interval not in TAILS:
        raise ValueError(f'unknown interval "{interval}"; use one of: {", ".join(TAILS)}')
    check_level(level)
    given = (np.atleast_1d(x) for x in (events_t, n_t, events_c, n_c))  # 1
    a, n1, c, n2, chosen = broadcast_floats(*given, np.ones(1) if mask is None else mask)
    cells = continuity_corrected(a, n1, c, n2, rule="none")
    there = ~cells.absent & (chosen > 0)
    whole = np.logical_and.reduce([cell % 1 == 0 for cell in cells[:4]])
    shape, used = there.shape[:-1], there & whole
    size = int(np.prod(shape)), used.shape[-1]
    rows = [np.where(used, x, 0.0).reshape(size) for x in (a, n1, c, n2)]
    k = np.count_nonzero(there, axis=-1)  # 2
    informative = np.count_nonzero(used & (a + c > 0) & (a + c < n1 + n2), axis=-1)
    invalid = (there & ~whole).any(-1)
    codes = [Status.NO_STUDIES, Status.INVALID_INPUT, Status.REFUSED, Status.ONE_STUDY]
    conditions = [k == 0, invalid, informative == 0, k == 1]
    status = np.select(conditions, [np.int_(code) for code in codes], np.int_(0))
    found = _inferred_in_blocks(rows, (1 - level) / 2, TAILS[interval])  # 3
    unknown = (k == 0) | invalid
    estimate, low, high, p_value = (np.where(unknown, np.nan, x.reshape(shape)) for x in found)
    return ExactOddsRatio(estimate, low, high, p_value, k, informative, status)

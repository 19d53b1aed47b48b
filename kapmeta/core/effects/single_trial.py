"""Intervals for one trial, or one proportion, as a forest plot shows them.

Every function works table by table on arrays of any shape and corrects no cell. Ratios are on the
log scale, where a limit that the data do not set is -inf or inf (0 or inf as a ratio). The cells of
a trial are named as in the papers::

                event   no event   total
    treatment     a        b        n1
    control       c        d        n2
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.effects.counts import broadcast_floats, continuity_corrected
from kapmeta.core.effects.hypergeometric import check_level, common_odds_ratio
from kapmeta.core.effects.score_statistics import difference_score, inflation, ratio_score
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.numerics.roots import bracketed_root

_FourCells: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


class TrialInterval(NamedTuple):
    """Estimate and limits of each table, in the shape of the input; log scale for ratios.

    All three are nan where a table is absent (a nan, or an arm of nobody) or impossible (events
    exceed participants).
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray


def _uncorrected_cells(
    events_t: npt.ArrayLike, n_t: npt.ArrayLike, events_c: npt.ArrayLike, n_c: npt.ArrayLike
) -> _FourCells:
    """Return the four cells, nothing added to any."""
    a, b, c, d, _, _ = continuity_corrected(events_t, n_t, events_c, n_c, rule="none")
    return a, b, c, d


def _two_sided_quantile(level: float) -> float:
    """Check `level` and return the normal quantile of its two-sided interval."""
    check_level(level)
    return float(normal_quantile((1 + level) / 2))


def _both_limits(
    lower: Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray], cells: _FourCells
) -> tuple[FloatArray, FloatArray]:
    """Compute both limits; the upper is minus the lower of the table with arms exchanged."""
    a, b, c, d = cells
    return lower(a, b, c, d), -lower(c, d, a, b)


def _ratio_lower(
    a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, z: FloatArray
) -> FloatArray:
    """Solve for the lower limit of the log risk ratio: the score statistic is `z` there.

    -inf without treated events.
    """
    n1, n2 = a + b, c + d
    p1 = a / n1
    with np.errstate(divide="ignore", invalid="ignore"):
        # below this the statistic exceeds z: the variance at r <= 1 is at most r (1/n1 + 1/n2)
        low = np.log(np.minimum(p1 / 2, p1 * p1 / (4 * z * z * (1 / n1 + 1 / n2))))
        # above this it is below z if the control arm has no events: the variance is at least r p1 /
        # (4 n2)
        beyond = np.log(np.maximum(np.maximum(4 * p1, (a + n2) / n1), 4 * n2 * p1 / (z * z)))
        high = np.where(c > 0, np.log(p1 * n2 / c), beyond)
        limited = a > 0
        low, high = np.where(limited, low, 0.0), np.where(limited, high, 0.0)
        limit = bracketed_root(lambda x: ratio_score(x, a, b, c, d) - z, low, high)
    return np.where(limited, limit, np.where(a == 0, -np.inf, np.nan))


def _ratio_interval(cells: _FourCells, z: FloatArray) -> TrialInterval:
    """Compute estimate and score limits of the log risk ratio."""
    a, b, c, d = cells
    low, high = _both_limits(lambda a, b, c, d: _ratio_lower(a, b, c, d, z), cells)
    with np.errstate(divide="ignore", invalid="ignore"):
        return TrialInterval(np.log(a / (a + b) / (c / (c + d))), low, high)


def koopman(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> TrialInterval:
    """Compute the score interval of one trial's log risk ratio [1]_.

    It holds all ratios that a score test does not reject. The interval to show for one trial, with
    or without empty cells. Where both arms have events enough it is close to the usual one; where
    one has none it still gives the finite limit. Not exact: in very small trials its coverage
    varies about the level, and `miettinen_nurminen_ratio` is a little wider.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, broadcast together; one table each.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    TrialInterval
        ``estimate, low, high`` on the log scale. Without events under control the estimate and the
        upper limit are inf, without events under treatment the estimate and the lower limit -inf;
        without any the estimate is nan and the interval all numbers. With nothing but events in
        both arms the estimate is 0 and both limits are finite.

    Raises
    ------
    ValueError
        If `level` is not a proportion.

    References
    ----------
    .. [1] Koopman PAR. Confidence intervals for the ratio of two binomial proportions. Biometrics
       1984;40:513-517.
       https://doi.org/10.2307/2531405

    Examples
    --------
    Krupitsky 2007, three sessions against one, and Dakwar 2019, whose control arm had no events:

    >>> import numpy as np
    >>> np.exp(koopman([13, 12], [26, 27], [6, 0], [27, 28])).round(3)
    array([[2.25 ,   inf],
           [1.055, 3.609],
           [5.08 ,   inf]])
    """
    cells = _uncorrected_cells(events_t, n_t, events_c, n_c)
    return _ratio_interval(cells, np.asarray(_two_sided_quantile(level)))


def miettinen_nurminen_ratio(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> TrialInterval:
    """Compute a log risk ratio's score interval, variance raised by n / (n - 1) [1]_.

    As `koopman`, a little wider, for very small trials.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, broadcast together; one table each.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    TrialInterval
        ``estimate, low, high`` on the log scale; limits are infinite where those of `koopman` are.

    Raises
    ------
    ValueError
        If `level` is not a proportion.

    References
    ----------
    .. [1] Miettinen O, Nurminen M. Comparative analysis of two rates. Stat Med 1985;4:213-226.
       https://doi.org/10.1002/sim.4780040211

    Examples
    --------
    Dakwar 2019, abstinence from cocaine at six months, 12 of 27 against 0 of 28:

    >>> import numpy as np
    >>> float(np.exp(miettinen_nurminen_ratio(12, 27, 0, 28).low).round(3))
    3.549
    """
    cells = _uncorrected_cells(events_t, n_t, events_c, n_c)
    return _ratio_interval(cells, _two_sided_quantile(level) * np.sqrt(inflation(*cells)))


def miettinen_nurminen_difference(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> TrialInterval:
    """Compute the score interval of one trial's risk difference [1]_.

    It holds all differences that a score test does not reject. For tables of any kind. `newcombe`
    is nearly as good and can be checked by hand.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, broadcast together; one table each.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    TrialInterval
        ``estimate, low, high``, all within [-1, 1]. Without events in either arm, or with nothing
        but events, the estimate is 0 and the limits are ``-z^2 / (n_c + z^2)`` and ``z^2 / (n_t +
        z^2)``, or the reverse, up to the factor n / (n - 1) on z^2. All against none has the limit
        1, none against all the limit -1.

    Raises
    ------
    ValueError
        If `level` is not a proportion.

    References
    ----------
    .. [1] Miettinen O, Nurminen M. Comparative analysis of two rates. Stat Med 1985;4:213-226.
       https://doi.org/10.1002/sim.4780040211

    Examples
    --------
    Dakwar 2019, abstinence from cocaine at six months, 12 of 27 against 0 of 28:

    >>> import numpy as np
    >>> np.round(miettinen_nurminen_difference(12, 27, 0, 28), 3)
    array([0.444, 0.275, 0.628])
    """
    cells = _uncorrected_cells(events_t, n_t, events_c, n_c)
    z = _two_sided_quantile(level)

    def lower(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
        observed = (a * d - b * c) / ((a + b) * (c + d))
        excess = lambda x: difference_score(x, a, b, c, d) - z  # noqa: E731
        limit = bracketed_root(excess, -np.ones_like(observed), observed)
        return np.where(observed == -1, -1.0, limit)

    a, b, c, d = cells
    return TrialInterval((a * d - b * c) / ((a + b) * (c + d)), *_both_limits(lower, cells))


def newcombe(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> TrialInterval:
    """Compute the hybrid score interval of one trial's risk difference [1]_.

    It combines the Wilson intervals of the arms. In closed form, never outside [-1, 1], and good in
    small trials with any cells empty.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, broadcast together; one table each.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    TrialInterval
        ``estimate, low, high``; always finite.

    Raises
    ------
    ValueError
        If `level` is not a proportion.

    References
    ----------
    .. [1] Newcombe RG. Interval estimation for the difference between independent proportions:
       comparison of eleven methods. Stat Med 1998;17:873-890 (method 10).
       https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I

    Examples
    --------
    Dakwar 2019, abstinence from cocaine at six months, 12 of 27 against 0 of 28:

    >>> import numpy as np
    >>> np.round(newcombe(12, 27, 0, 28), 3)
    array([0.444, 0.237, 0.627])
    """
    a, b, c, d = _uncorrected_cells(events_t, n_t, events_c, n_c)
    p1, low1, high1 = wilson(a, a + b, level=level)
    p2, low2, high2 = wilson(c, c + d, level=level)
    difference = (a * d - b * c) / ((a + b) * (c + d))
    below, above = np.hypot(p1 - low1, high2 - p2), np.hypot(high1 - p1, p2 - low2)
    return TrialInterval(difference, difference - below, difference + above)


def exact_odds_ratio(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> TrialInterval:
    """Compute the exact conditional interval of one trial's log odds ratio.

    The interval of Fisher's exact test. It covers at least `level` and in small trials much more;
    `mid_p_odds_ratio` is the one to show.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, whole numbers, broadcast together; one table each.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    TrialInterval
        ``estimate`` (conditional maximum likelihood), ``low, high`` on the log scale. An empty cell
        makes the estimate and one limit infinite; two, such that nobody or everybody had the event,
        make the estimate nan and the interval all numbers.

    Raises
    ------
    ValueError
        If `level` is not a proportion.

    See Also
    --------
    kapmeta.core.effects.hypergeometric.common_odds_ratio : several tables, and the exact p-value.

    Examples
    --------
    Krupitsky 2007, three sessions against one, abstinence from heroin:

    >>> import numpy as np
    >>> np.exp(exact_odds_ratio(13, 26, 6, 27)).round(3)
    array([ 3.414,  0.929, 13.944])
    """
    return _conditional_interval("exact", events_t, n_t, events_c, n_c, level)


def mid_p_odds_ratio(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> TrialInterval:
    """Compute the mid-p conditional interval of one trial's log odds ratio.

    As `exact_odds_ratio`, with half the probability of the table observed in each tail: it covers
    about `level`.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, whole numbers, broadcast together; one table each.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    TrialInterval
        ``estimate, low, high`` on the log scale; infinite where those of `exact_odds_ratio` are.

    Raises
    ------
    ValueError
        If `level` is not a proportion.

    Examples
    --------
    Krupitsky 2007, three sessions against one, abstinence from heroin:

    >>> import numpy as np
    >>> np.exp(mid_p_odds_ratio(13, 26, 6, 27)).round(3)
    array([ 3.414,  1.047, 12.026])
    """
    return _conditional_interval("mid-p", events_t, n_t, events_c, n_c, level)


def _conditional_interval(
    interval: str,
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    level: float,
) -> TrialInterval:
    """Compute the conditional interval of one table, as a meta-analysis of one trial."""
    table = (x[..., None] for x in broadcast_floats(events_t, n_t, events_c, n_c))
    found = common_odds_ratio(*table, interval=interval, level=level)
    return TrialInterval(found.estimate, found.low, found.high)


def wilson(events: npt.ArrayLike, n: npt.ArrayLike, *, level: float = 0.95) -> TrialInterval:
    """Compute Wilson's score interval of one proportion [1]_.

    The interval to show for one group, however few its events.

    Parameters
    ----------
    events, n : array_like
        Events and participants, broadcast together.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    TrialInterval
        ``estimate, low, high``; `low` is 0 without events, `high` is 1 with nothing but events.

    Raises
    ------
    ValueError
        If `level` is not a proportion.

    References
    ----------
    .. [1] Wilson EB. Probable inference, the law of succession, and statistical inference. J Am
       Stat Assoc 1927;22:209-212. https://doi.org/10.1080/01621459.1927.10502953

    Examples
    --------
    Dakwar 2019, abstinence from cocaine at six months, 12 of 27 and 0 of 28:

    >>> import numpy as np
    >>> np.round(wilson([12, 0], [27, 28]), 3)
    array([[0.444, 0.   ],
           [0.276, 0.   ],
           [0.627, 0.121]])
    """
    x, size = _events_and_size(events, n)
    z = _two_sided_quantile(level)

    def lower(x: FloatArray) -> FloatArray:  # the smaller root, in the form that does not cancel
        return 2 * x * x / size / (2 * x + z * z + z * np.sqrt(z * z + 4 * x * (size - x) / size))

    return TrialInterval(x / size, lower(x), 1 - lower(size - x))


def clopper_pearson(
    events: npt.ArrayLike, n: npt.ArrayLike, *, level: float = 0.95
) -> TrialInterval:
    """Compute the exact interval of one proportion [1]_ from binomial tails.

    It covers at least `level`, and in small groups much more: use it where that is asked for,
    `wilson` elsewhere.

    Parameters
    ----------
    events, n : array_like
        Events and participants, broadcast together.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    TrialInterval
        ``estimate, low, high``; `low` is 0 without events, `high` is 1 with nothing but events.

    Raises
    ------
    ValueError
        If `level` is not a proportion.

    References
    ----------
    .. [1] Clopper CJ, Pearson ES. The use of confidence or fiducial limits illustrated in the case
       of the binomial. Biometrika 1934;26:404-413. https://doi.org/10.1093/biomet/26.4.404

    Examples
    --------
    Dakwar 2019, abstinence from cocaine at six months, 0 of 28 under midazolam:

    >>> float(clopper_pearson(0, 28).high.round(4))
    0.1234
    """
    x, size = _events_and_size(events, n)
    check_level(level)

    def lower(x: FloatArray) -> FloatArray:
        some = x > 0
        limit = special.betaincinv(np.where(some, x, 1.0), size - x + 1, (1 - level) / 2)
        return np.where(some, limit, x)

    return TrialInterval(x / size, lower(x), 1 - lower(size - x))


def _events_and_size(events: npt.ArrayLike, n: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return events and participants of one group, nan where absent or impossible."""
    x, size = broadcast_floats(events, n)
    usable = (size > 0) & (x >= 0) & (x <= size)
    return np.where(usable, x, np.nan), np.where(usable, size, np.nan)


SINGLE_TRIAL_INTERVALS: dict[str, Callable[..., TrialInterval]] = {
    "koopman": koopman,
    "miettinen-nurminen-rr": miettinen_nurminen_ratio,
    "miettinen-nurminen-rd": miettinen_nurminen_difference,
    "newcombe": newcombe,
    "exact": exact_odds_ratio,
    "mid-p": mid_p_odds_ratio,
}
"""Intervals of one two-armed trial: functions of ``events_t, n_t, events_c, n_c, *, level``."""


def no_effect_score(
    interval: str,
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
) -> FloatArray:
    """Compute the score test's normal deviate of no effect; nan for other intervals.

    The test is the one that the interval inverts.

    Parameters
    ----------
    interval : str
        A word of `SINGLE_TRIAL_INTERVALS`.
    events_t, n_t, events_c, n_c : array_like
        As for the interval.

    Returns
    -------
    ndarray
        Beyond the normal quantile of a level exactly where the interval of that level leaves out no
        effect.

    Examples
    --------
    >>> float(no_effect_score("koopman", 13, 27, 3, 28).round(4))
    3.0557
    """
    cells = _uncorrected_cells(events_t, n_t, events_c, n_c)
    score = _SCORES.get(interval, _no_score)
    return score(np.zeros(cells[0].shape), *cells)


def _raised_ratio_score(log_ratio: FloatArray, *cells: FloatArray) -> FloatArray:
    """Compute the ratio score with the variance raised by n / (n - 1)."""
    return ratio_score(log_ratio, *cells) / np.sqrt(inflation(*cells))


def _no_score(effect: FloatArray, *cells: FloatArray) -> FloatArray:
    """Return nan: the interval inverts no score test."""
    return np.full(effect.shape, np.nan)


_SCORES: dict[str, Callable[..., FloatArray]] = {
    "koopman": ratio_score,
    "miettinen-nurminen-rr": _raised_ratio_score,
    "miettinen-nurminen-rd": difference_score,
}

SINGLE_TRIAL_MEASURES: dict[str, str] = {
    "koopman": "RR",
    "miettinen-nurminen-rr": "RR",
    "miettinen-nurminen-rd": "RD",
    "newcombe": "RD",
    "exact": "OR",
    "mid-p": "OR",
}
"""The measure of each interval; RR and OR are on the log scale."""

PROPORTION_INTERVALS: dict[str, Callable[..., TrialInterval]] = {
    "wilson": wilson,
    "clopper-pearson": clopper_pearson,
}
"""Intervals of one proportion by name, each a function of ``events, n, *, level``."""

"""Methods that may be headlined, each applied to thousands of simulated sets of tables at once.

A candidate takes `Draws` and returns the limits of the mean of each set, nan where it gives no
interval. Each needs two tables with a contrast; with fewer a set is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from kapmeta.core.bayes import posterior
from kapmeta.core.bayes.priors import TauPrior, half_normal, log_density
from kapmeta.core.effects import counts, single_trial
from kapmeta.core.exact import stratified
from kapmeta.core.exact.beta_binomial import beta_binomial_fits
from kapmeta.core.exact.likelihood_curves import Tables
from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.pooling.intervals import INTERVALS
from kapmeta.core.sensitivity import likelihood_grids
from kapmeta.core.sensitivity.universes import Cells

EFFECTS: Mapping[str, Callable[..., counts.Estimates]] = MappingProxyType(
    {
        "RR": partial(counts.risk_ratio, zero="drop"),
        "OR": partial(counts.odds_ratio, zero="drop"),
        "RD": counts.risk_difference,
        "AS": counts.arcsine_difference,
    }
)
"""Effects of the counts by measure; 0.5 is added to tables with a zero cell that has a contrast."""

OWN_INTERVALS: Mapping[str, Callable[..., single_trial.TrialInterval]] = MappingProxyType(
    {
        "RR": single_trial.koopman,
        "OR": single_trial.mid_p_odds_ratio,
        "RD": single_trial.miettinen_nurminen_difference,
    }
)
"""Interval of one trial by measure."""

# points of tau that all priors share: equally spaced in w, tau = 0.15 sinh(w), half weight at 0,
# where every integrand is even; sums over them converge exponentially
_W = np.linspace(0.0, np.arcsinh(40.0 / 0.15), 36)
TAU_POINTS = 0.15 * np.sinh(_W)
TAU_WEIGHTS = 0.15 * np.cosh(_W) * (_W[1] - _W[0]) * np.where(_W == 0, 0.5, 1.0)

WIDE = (0.0, 2.82)  # prior of the mean for counts: 95 % of ratios between 1/250 and 250

Limits: TypeAlias = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class Draws:
    """Simulated sets of tables, cells of shape (sets, k), with what several candidates share."""

    cells: Cells
    measure: str
    level: float = 0.95

    @cached_property
    def effects(self) -> tuple[FloatArray, FloatArray]:
        """Effects and variances, shape (sets, k); a table without a contrast has variance inf."""
        found = EFFECTS[self.measure](*self.cells)
        return np.where(found.absent, 0.0, found.y), np.where(found.absent, np.inf, found.v)

    @cached_property
    def informative(self) -> IntArray:
        """Number of tables with a contrast, shape (sets,)."""
        return np.asarray((self.effects[1] < np.inf).sum(-1))

    @cached_property
    def sparse(self) -> BoolArray:
        """Whether a table with a contrast was corrected, shape (sets,)."""
        a, n_t, c, n_c = self.cells
        zero = (a == 0) | (a == n_t) | (c == 0) | (c == n_c)
        return np.asarray((zero & (self.effects[1] < np.inf)).any(-1))

    @cached_property
    def surfaces(self) -> FloatArray:
        """Log-likelihoods of the counts on the grid of tau and mean."""
        a, n_t, c, n_c = self.cells
        return likelihood_grids.likelihood_surfaces(Tables(a, n_t - a, c, n_c - c), self.measure)[0]

    @cached_property
    def likelihoods(self) -> FloatArray:
        """Likelihoods of the counts on the grid, relative to the highest of each set."""
        return likelihood_grids.relative_likelihoods(self.surfaces)

    @cached_property
    def given_tau(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean and sd of the mean effect, and the log-likelihood, at each of `TAU_POINTS`."""
        y, v = self.effects
        tau = np.broadcast_to(TAU_POINTS, (len(v), TAU_POINTS.size))
        return posterior.given_tau(y, v, tau, None)

    def chosen(self, rows: BoolArray) -> Draws:
        """Return some of the sets."""
        return Draws(Cells(*(cell[rows] for cell in self.cells)), self.measure, self.level)


class Candidate(NamedTuple):
    """A method: its limits, and the measures it is for."""

    limits: Callable[[Draws], Limits]
    measures: tuple[str, ...] = ("RR", "OR", "RD", "AS")


class PolicyRule(NamedTuple):
    """The candidate headlined from `least` tables with a contrast on; `sparse` with empty cells."""

    least: int
    candidate: str
    sparse: str = ""


def _inverse_variance(draws: Draws, *, tau2: str, ci: str) -> Limits:
    """Pool the effects with an estimator of tau2 and an interval."""
    y, v = draws.effects
    between = np.zeros(len(v)) if tau2 == "common" else ESTIMATORS[tau2](y, v)
    found = INTERVALS[ci](y, v, between, draws.level)
    return found.low, found.high


def _posterior(draws: Draws, *, prior: TauPrior) -> Limits:
    """Find the posterior of the mean of the effects, with a flat prior of the mean."""
    mean, sd, log_likelihood = draws.given_tau
    log_weight = log_likelihood + log_density(prior, TAU_POINTS) + np.log(TAU_WEIGHTS)
    weight = np.exp(log_weight - log_weight.max(-1, keepdims=True))
    mixture = posterior.Mixture(weight / weight.sum(-1, keepdims=True), mean, sd)
    tail = (1 - draws.level) / 2
    found = mixture.quantile([tail, 1 - tail])
    return found[..., 0], found[..., 1]


def _posterior_from_counts(draws: Draws, *, prior: TauPrior) -> Limits:
    return likelihood_grids.posterior_limits(draws.likelihoods, prior, WIDE, draws.level)


def _profile_from_counts(draws: Draws) -> Limits:
    return likelihood_grids.profile_limits(draws.surfaces, draws.level)


def _mantel_haenszel_candidate(draws: Draws) -> Limits:
    found = stratified.mantel_haenszel(*draws.cells, measure=draws.measure)
    half = float(normal_quantile((1 + draws.level) / 2)) * found.se
    return found.estimate - half, found.estimate + half


def _beta_binomial_candidate(draws: Draws) -> Limits:
    found = beta_binomial_fits(*draws.cells, measure=draws.measure, level=draws.level)
    finite = np.isfinite(found.low) & np.isfinite(found.high)
    return np.where(finite, found.low, np.nan), np.where(finite, found.high, np.nan)


def inverse_variance(tau2: str, ci: str) -> Candidate:
    """Make a candidate of an estimator of tau2 (or ``"common"``) and an interval of the mean."""
    return Candidate(partial(_inverse_variance, tau2=tau2, ci=ci))


def normal_posterior(prior: TauPrior) -> Candidate:
    """Make a candidate of a prior of tau, with normal effects and a flat prior of the mean."""
    measures = (prior.measure,) if prior.measure else ("RR", "OR", "RD", "AS")
    return Candidate(partial(_posterior, prior=prior), measures)


def counts_posterior(prior: TauPrior) -> Candidate:
    """Make a candidate of a prior of tau, with the likelihood of the counts."""
    measures = (prior.measure,) if prior.measure else ("RR", "OR")
    return Candidate(partial(_posterior_from_counts, prior=prior), measures)


def _by_measure(draws: Draws, *, candidates: Mapping[str, Candidate]) -> Limits:
    return candidates[draws.measure].limits(draws)


def by_measure(candidates: Mapping[str, Candidate]) -> Candidate:
    """Make one candidate of several, each for the sets of one measure."""
    return Candidate(partial(_by_measure, candidates=dict(candidates)), tuple(candidates))


def policy(rules: tuple[PolicyRule, ...]) -> Candidate:
    """Make a candidate of a whole headline policy."""
    return Candidate(partial(policy_limits, rules=rules), ("RR", "OR"))


def _named_candidate() -> dict[str, Candidate]:
    """Name the candidates of the study; the empirical priors are added to them by field."""
    scales = (0.25, 0.5, 0.75, 1.0, 1.5)
    found = {f"half-normal {x:g}": normal_posterior(half_normal(x)) for x in scales}
    found |= {f"counts, half-normal {x:g}": counts_posterior(half_normal(x)) for x in scales[1:]}
    simple = ("wald", "hksj", "hksj-hybrid", "hksj-variance")
    found |= {
        f"{word}, {ci}": inverse_variance(word, ci) for word in ("REML", "PM") for ci in simple
    }
    found["DL, wald"] = inverse_variance("DL", "wald")
    found["common, wald"] = inverse_variance("common", "wald")
    likelihood = ("profile", "bartlett", "skovgaard")
    found |= {f"ML, {ci}": inverse_variance("ML", ci) for ci in likelihood}
    found["REML, kr"] = inverse_variance("REML", "kr")
    found["mantel-haenszel"] = Candidate(_mantel_haenszel_candidate, ("RR", "OR", "RD"))
    found["beta-binomial"] = Candidate(_beta_binomial_candidate, ("RR", "OR", "RD"))
    found["binomial-normal, profile"] = Candidate(_profile_from_counts, ("RR", "OR"))
    return found


CANDIDATES: Mapping[str, Candidate] = MappingProxyType(_named_candidate())
"""Candidates by name."""


def limits(draws: Draws, candidate: Candidate) -> Limits:
    """Apply a candidate; sets of fewer than two tables with a contrast have no limits.

    A policy has a rule for one table.
    """
    is_policy = getattr(candidate.limits, "func", None) is policy_limits
    enough = draws.informative >= (1 if is_policy else 2)
    low, high = (np.full(enough.shape, np.nan) for _ in range(2))
    if enough.all():
        return candidate.limits(draws)
    if enough.any():
        low[enough], high[enough] = candidate.limits(draws.chosen(enough))
    return low, high


def policy_limits(
    draws: Draws, rules: tuple[PolicyRule, ...], candidates: Mapping[str, Candidate] | None = None
) -> Limits:
    """Apply a headline policy: by the number of tables with a contrast, one by its own interval.

    Sets without a contrast have no limits.
    """
    known = CANDIDATES if candidates is None else candidates
    low, high = (np.full(draws.informative.shape, np.nan) for _ in range(2))
    one = draws.informative == 1
    if one.any():
        low[one], high[one] = _own_interval(draws.chosen(one))
    ends = [rule.least for rule in rules[1:]] + [np.iinfo(np.int64).max]
    for rule, end in zip(rules, ends, strict=True):
        among = (draws.informative >= rule.least) & (draws.informative < end)
        for sparse, name in ((False, rule.candidate), (True, rule.sparse or rule.candidate)):
            rows = among & (draws.sparse == sparse)
            if rows.any():
                low[rows], high[rows] = known[name].limits(draws.chosen(rows))
    return low, high


def _own_interval(draws: Draws) -> Limits:
    """Return the interval of the one table with a contrast in each set."""
    at = draws.effects[1].argmin(-1)[:, None]
    cells = (np.take_along_axis(cell, at, axis=-1)[:, 0] for cell in draws.cells)
    found = OWN_INTERVALS[draws.measure](*cells, level=draws.level)
    return found.low, found.high

"""Posterior, a pooled effect as a probability distribution, with its sentences and tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from kapmeta import wording
from kapmeta.core.bayes.priors import TauPrior
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.roots import bracketed_root
from kapmeta.methods import Method
from kapmeta.references import short_references
from kapmeta.results.effects import Effects, effects_table, excluded_sentences, read_only
from kapmeta.results.pooled import Pooled
from kapmeta.results.shared.pooling_methods import paragraph
from kapmeta.results.shared.views import IntervalView

__all__ = ["Distribution", "Posterior", "density_of"]

_LIKELIHOODS = {
    ("binomial", "RR"): "the binomial likelihood of the counts of each trial with the control risk"
    " profiled out, without continuity correction",
    ("binomial", "OR"): "the exact conditional likelihood of the counts of each trial, without"
    " continuity correction",
}
_SCALES = np.linspace(0.0, 2.0, 41)
_AT_ONCE = 64  # values of a density computed together
_WIDEST_SCALE = 64.0  # prior scale up to which the tipping scale is sought


class Distribution(Protocol):
    """A posterior distribution of one quantity on the analysis scale."""

    def expectation(self) -> Any:
        """Return the mean."""

    def cdf(self, x: npt.ArrayLike) -> Any:
        """Return the lower-tail area."""

    def density(self, x: npt.ArrayLike) -> Any:
        """Return the density."""

    def quantile(self, p: npt.ArrayLike) -> Any:
        """Return quantiles."""


Vary = Callable[[FloatArray], tuple[FloatArray, FloatArray, FloatArray, FloatArray]]
"""Median, limits and probability above no effect, by scale of the half-normal prior of tau."""


def density_of(distribution: Distribution, values: npt.ArrayLike) -> FloatArray:
    """Compute the density of a distribution at many values, some at a time."""
    x = np.asarray(values, dtype=np.float64)
    pieces = np.array_split(x.ravel(), 1 + x.size // _AT_ONCE)
    return np.concatenate([np.atleast_1d(distribution.density(piece)) for piece in pieces]).reshape(
        x.shape
    )


@dataclass(frozen=True, eq=False, repr=False)
class Posterior(IntervalView):
    """A pooled effect as a probability distribution, with its priors.

    Attributes
    ----------
    effects : Effects
        What was pooled, with the intervals of the single trials.
    method : Method
        Name of the model and level.
    likelihood : str
        ``"normal"`` or ``"binomial"``.
    tau_prior : TauPrior
        Prior of the between-study standard deviation.
    mu_prior : (float, float) or None
        Mean and standard deviation of the normal prior of the mean effect; None if flat.
    estimate, mean, se, low, high : float
        Posterior median, mean, standard deviation and central limits of the mean effect on the
        analysis scale.
    k : int
        Number of studies that take part.
    weights : ndarray, shape (studies,)
        Shares in the mean effect, averaged over tau (normal likelihood), or shares of the
        information on it (binomial).
    tau_median, tau_mean, tau_sd, tau_low, tau_high : float
        Posterior of tau; infinite where a moment does not exist.
    tau2, tau2_low, tau2_high : float
        Posterior median and central limits of the between-study variance: the squares of those of
        tau.
    prediction_low, prediction_high : float
        Central limits of the effect in a new study.
    log_marginal : float
        Log marginal likelihood; with a flat prior of the mean nan.
    bayes_factor_no_effect, bayes_factor_no_heterogeneity : float
        Bayes factors of ``mu = null`` and of ``tau = 0`` against the priors; above 1 they speak for
        them. nan where a prior is improper.
    notes : tuple of str
        What a reader must know before quoting it.
    """

    effects: Effects
    method: Method
    likelihood: str
    tau_prior: TauPrior
    mu_prior: tuple[float, float] | None
    estimate: float
    mean: float
    se: float
    low: float
    high: float
    k: int
    weights: FloatArray
    tau_median: float
    tau_mean: float
    tau_sd: float
    tau_low: float
    tau_high: float
    prediction_low: float
    prediction_high: float
    log_marginal: float
    bayes_factor_no_effect: float
    bayes_factor_no_heterogeneity: float
    notes: tuple[str, ...]
    mean_effect: Distribution
    new_effect: Distribution
    _study_effects: Callable[[], dict[int, Distribution]]
    _vary: Vary

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", read_only(self.weights))

    @property
    def measure(self) -> str:
        """Key of the measure in `kapmeta.measures.MEASURES`."""
        return self.effects.measure

    @property
    def null(self) -> float:
        """No effect, on the analysis scale."""
        return 0.0

    @property
    def tau2(self) -> float:
        """Posterior median of the between-study variance."""
        return self.tau_median**2

    @property
    def tau2_low(self) -> float:
        """Lower central limit of the between-study variance."""
        return self.tau_low**2

    @property
    def tau2_high(self) -> float:
        """Upper central limit of the between-study variance."""
        return self.tau_high**2

    def _analysis(self, value: float | None) -> float:
        """Take a value from the scale shown to the analysis scale; no effect by default."""
        if value is None:
            return self.null
        if self.scale.ratio and not value > 0:
            raise ValueError(f"a {self.scale.name} is above 0: got {value}")
        return math.log(value) if self.scale.ratio else float(value)

    def probability_above(self, value: float | None = None, *, new_study: bool = False) -> float:
        """Compute the probability that the mean effect lies above `value`, on the scale shown.

        With ``new_study=True`` it is that of the effect in a new study.

        Examples
        --------
        >>> import pandas as pd
        >>> import kapmeta as km
        >>> trials = pd.DataFrame({"study": ["A", "B"], "events_t": [13, 6], "n_t": [26, 35],
        ...                        "events_c": [6, 2], "n_c": [27, 35]})
        >>> from kapmeta.pooling.bayes import pool_bayes
        >>> found = pool_bayes(km.risk_ratio(trials), tau_prior=0.5)
        >>> round(found.probability_above(), 4), round(found.probability_above(1.25), 4)
        (0.9665, 0.9225)
        """
        x = self._analysis(value)
        distribution = self.new_effect if new_study else self.mean_effect
        return float(1 - distribution.cdf(np.asarray(x)))

    def density(self, values: npt.ArrayLike, *, new_study: bool = False) -> FloatArray:
        """Compute the posterior density at values on the analysis scale."""
        distribution = self.new_effect if new_study else self.mean_effect
        return density_of(distribution, values)

    def shrunken(self) -> pd.DataFrame:
        """Return the effects of the studies drawn towards the mean, one row per study as shown."""
        tail = (1 - self.method.level) / 2
        rows = []
        for i, distribution in sorted(self._study_effects().items()):
            low, median, high = (
                float(x) for x in np.ravel(distribution.quantile([tail, 0.5, 1 - tail]))
            )
            row: dict[str, Any] = {"study": self.effects.labels[i]}
            row |= {
                n: float(self.scale.shown(x))
                for n, x in (("estimate", median), ("low", low), ("high", high))
            }
            rows.append(
                row | {"y": float(distribution.expectation()), "raw": float(self.effects.y[i])}
            )
        return pd.DataFrame(rows)

    def prior_scale_curve(self, scales: npt.ArrayLike = _SCALES) -> pd.DataFrame:
        """Compute the result for half-normal priors of tau of growing scale.

        The display that belongs to every pool of few studies.

        Returns
        -------
        DataFrame
            Columns scale, estimate, low, high (scale shown), probability (above no effect), y,
            y_low, y_high.
        """
        scales = np.atleast_1d(np.asarray(scales, dtype=np.float64))
        y, low, high, probability = self._vary(scales)
        shown = {n: self.scale.shown(x) for n, x in (("estimate", y), ("low", low), ("high", high))}
        return pd.DataFrame(
            {
                "scale": scales,
                **shown,
                "probability": probability,
                "y": y,
                "y_low": low,
                "y_high": high,
            }
        )

    def tipping_scale(self) -> float:
        """Find the half-normal scale at which the interval first includes no effect.

        0 if it does without heterogeneity; infinite if it does not up to a scale of 64.
        """

        def clearance(scale: FloatArray) -> FloatArray:
            _, low, high, _ = self._vary(np.ravel(scale))
            return np.maximum(low - self.null, self.null - high).reshape(np.shape(scale))

        if clearance(np.zeros(1))[0] <= 0:
            return 0.0
        ends = np.concatenate([[0.0], np.geomspace(0.125, _WIDEST_SCALE, 10)])
        for near, far in pairwise(ends):
            if clearance(np.array([far]))[0] <= 0:
                return float(bracketed_root(clearance, np.array([near]), np.array([far]))[0])
        return math.inf

    def to_frame(self) -> pd.DataFrame:
        """Return one row per study, then the mean and a new study's effect, on the scale shown."""
        frame = self.effects.to_frame(level=self.method.level)
        frame["weight"] = self.weights
        shown = self.scale.shown
        pooled = {
            "row": "pooled",
            "study": self.method.model,
            **self.shown_interval._asdict(),
            "y": self.estimate,
            "v": self.se**2,
            "weight": 1.0,
            **{n: getattr(self, n) for n in ("k", "tau_median", "tau_low", "tau_high")},
            "probability_above_null": self.probability_above(),
        }
        prediction = {
            "row": "prediction",
            "study": "Effect in a new study",
            "low": float(shown(self.prediction_low)),
            "high": float(shown(self.prediction_high)),
        }
        rows: list[Any] = [*frame.to_dict("records"), pooled, *[prediction] * (self.k > 1)]
        columns = [*frame.columns, *(n for n in pooled if n not in frame.columns)]
        return pd.DataFrame({n: [row.get(n) for row in rows] for n in columns})

    def _text(self) -> str:
        level = wording.percent(self.method.level)
        return wording.estimate_with_interval(
            self.scale.short, *self.shown_interval, f"{level} CrI"
        )

    def _sentence(self) -> str:
        e = self.effects
        null = (
            ""
            if self.scale.null is None
            else f", probability above {self.scale.null:g}: {self.probability_above():.3f}"
        )
        verb = "Posterior" if self.k > 1 else "Posterior of one trial's"
        return (
            f"{verb} {e.scale.name} of {e.event} from {wording.studies(self.k)}:"
            f" {self._text()}{null}."
        )

    def _priors(self) -> str:
        m = self.mu_prior
        mean = "flat" if m is None else f"normal with mean {m[0]:g} and standard deviation {m[1]:g}"
        if self.k == 1:
            return f"effect {mean} (analysis scale)"
        return f"tau {self.tau_prior.name}; mean effect {mean} (analysis scale)"

    def summary(self) -> str:
        """Describe the result in words and numbers, with its priors and notes."""
        shown = self.scale.shown
        new = [wording.number(float(shown(x))) for x in (self.prediction_low, self.prediction_high)]
        tau = [wording.number(x) for x in (self.tau_median, self.tau_low, self.tau_high)]
        level = wording.percent(self.method.level)
        heterogeneity = [
            f"Heterogeneity: tau = {tau[0]} ({level} CrI {tau[1]} to {tau[2]}).",
            f"Effect in a new study: {level} CrI {new[0]} to {new[1]}.",
        ] * (self.k > 1)
        return "\n".join(
            [
                self._sentence(),
                f"{self.method.model}; priors: {self._priors()}.",
                *heterogeneity,
                *excluded_sentences(self.effects),
                *(f"Note: {note}." for note in self.notes),
            ]
        )

    def methods_text(self) -> str:
        """Write the paragraph for a methods section."""
        return paragraph(self.methods_sentences())

    def methods_sentences(self) -> list[str]:
        """List the sentences of that paragraph, without the one on the software."""
        e, level = self.effects, wording.percent(self.method.level)
        papers = short_references("Bayesian random-effects model")
        what = f"the {e.scale.name} of {e.event} ({e.treatment} against {e.control})"
        data = _LIKELIHOODS.get((self.likelihood, e.measure), "estimates and standard errors")
        how = f"by Bayesian random-effects meta-analysis{papers} of {wording.studies(self.k)}"
        if self.k == 1:
            what, how = f"{what} of one trial", "by its own posterior distribution"
        return [
            f"We estimated {what} {how}, from {data}.",
            f"Priors: {self._priors()}.",
            "Posterior quantities were computed by deterministic quadrature; we report the median"
            f" and the central {level} credible interval.",
        ]

    def alt_text(self) -> str:
        """Describe the result to readers who cannot see the figure."""
        return f"{self._sentence()} Priors: {self._priors()}."

    def __repr__(self) -> str:
        tau = f"tau {self.tau_prior.name}" if self.k > 1 else "one trial, not pooled"
        return f"Posterior({self._text()}, k={self.k}, {tau})"

    def _shown_table(self) -> pd.DataFrame | None:
        return effects_table(self.effects)


Result = Pooled | Posterior

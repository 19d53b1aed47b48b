"""Multilevel, fits with several random effects, and RobustTests, with their sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kapmeta import wording
from kapmeta.core.moderators import multivariate
from kapmeta.core.moderators.clustered import Robust, Working
from kapmeta.core.moderators.multivariate import Components, Terms
from kapmeta.core.moderators.regression import Joint
from kapmeta.core.numerics.arrays import FloatArray, IntArray
from kapmeta.core.numerics.distributions import t_quantile, t_two_sided
from kapmeta.methods import TAU2_NAMES, Method
from kapmeta.results.effects import Effects
from kapmeta.results.regressions import (
    Design,
    coefficient_columns,
    coefficient_frame,
    lock,
    terms_text,
    tests_of_terms,
)
from kapmeta.results.shared.views import EffectsView

__all__ = ["Multilevel", "RobustTests"]


@dataclass(frozen=True, eq=False, repr=False)
class Multilevel(EffectsView):
    """Dependent effects pooled or regressed with random effects at several levels or outcomes.

    Returned by `kapmeta.multilevel` and `kapmeta.moderators.multivariate`. Coefficients are on the
    analysis scale.

    Attributes
    ----------
    effects : Effects
        What was analysed, excluded effects included; `positions` are those that entered.
    method : Method
        Likelihood (in `tau2`), interval, level.
    design : Design
        Moderators; an intercept alone where effects were pooled.
    fit : kapmeta.core.moderators.multivariate.Components
        The numbers behind the properties.
    terms : kapmeta.core.moderators.multivariate.Terms
        The random effects.
    names_of_components : tuple of str
        What the variances (and covariances) belong to.
    sampling : ndarray, shape (n, n)
        Sampling covariance of the effects.
    df : ndarray, shape (p,)
        Degrees of freedom of the coefficients' tests; infinite for a normal reference.
    omnibus : Joint or None
        Test of all moderators together.
    q, q_df, q_p_value : float
        Residual heterogeneity under the sampling covariance, and its test.
    notes : tuple of str
        What a reader must know before quoting the result.
    """

    effects: Effects
    method: Method
    design: Design
    positions: IntArray
    fit: Components
    terms: Terms
    names_of_components: tuple[str, ...]
    sampling: FloatArray
    df: FloatArray
    omnibus: Joint | None
    q: float
    q_df: float
    q_p_value: float
    notes: tuple[str, ...] = ()
    papers = ("multilevel",)

    def __post_init__(self) -> None:
        lock((*self.fit, self.positions, self.design.matrix, self.sampling, self.df))

    @property
    def k(self) -> int:
        """Effects that entered."""
        return int(self.positions.size)

    @property
    def estimate(self) -> FloatArray:
        """Coefficients."""
        return self.fit.beta

    @property
    def se(self) -> FloatArray:
        """Model-based standard errors."""
        return np.asarray(np.sqrt(np.diagonal(self.fit.covariance)))

    @property
    def low(self) -> FloatArray:
        """Lower confidence limits."""
        return np.asarray(self.estimate - self._half)

    @property
    def high(self) -> FloatArray:
        """Upper confidence limits."""
        return np.asarray(self.estimate + self._half)

    @property
    def _half(self) -> FloatArray:
        return np.asarray(t_quantile((1 + self.method.level) / 2, self.df) * self.se)

    @property
    def p_value(self) -> FloatArray:
        """Two-sided p-values of the coefficients; nan for means of one group."""
        p = t_two_sided(self.estimate / self.se, self.df)
        return tests_of_terms(self.design, self.scale, p)

    @property
    def components(self) -> pd.Series:
        """Variances of the random effects, outermost first; covariances of several outcomes."""
        return pd.Series(self.fit.c, index=list(self.names_of_components))

    @property
    def loglik(self) -> float:
        """Full log-likelihood at the estimates."""
        return self.fit.loglik

    @property
    def loglik_restricted(self) -> float:
        """Restricted log-likelihood at the estimates."""
        return self.fit.loglik_restricted

    @property
    def y(self) -> FloatArray:
        """Effects that entered."""
        return self.effects.y[self.positions]

    def working(self, cluster: IntArray) -> Working:
        """Return the fit as a working model for cluster-robust tests."""
        total = self.fit.total
        inverse = np.asarray(np.linalg.inv(total), dtype=np.float64)
        return Working(self.design.matrix, inverse, total, cluster)

    def component_intervals(self) -> pd.DataFrame:
        """Compute profile-likelihood intervals of the variances; not of outcomes' covariances."""
        if len(self.terms.squares) != len(
            np.flatnonzero(np.einsum("jaa->j", self.terms.squares) == 1)
        ):
            raise ValueError(
                "profile intervals are for variances of levels, not for a covariance matrix of"
                " outcomes"
            )
        rows = [
            multivariate.profile_interval(
                self.y,
                self.sampling,
                self.design.matrix,
                self.terms,
                which,
                restricted=self.method.tau2 == "REML",
                level=self.method.level,
            )
            for which in range(len(self.fit.c))
        ]
        low, high = zip(*rows, strict=True)
        frame = pd.DataFrame(
            {
                "component": self.names_of_components,
                "variance": self.fit.c,
                "low": low,
                "high": high,
            }
        )
        return frame.assign(sd=np.sqrt(self.fit.c))

    def predict(self, data: Any = None) -> pd.DataFrame:
        """Predict the mean effect at moderator values, with confidence and prediction limits.

        Without moderators `data` is left out. The prediction limits add the variances of all
        levels.
        """
        frame = (
            pd.DataFrame({"term": ["mean"]})
            if data is None
            else pd.DataFrame(data).reset_index(drop=True)
        )
        alone = self.design.names == ("intercept",)
        rows = np.ones((len(frame), 1)) if alone else self.design.rows(frame)
        mean = rows @ self.fit.beta
        se = np.sqrt(np.einsum("mi,ij,mj->m", rows, self.fit.covariance, rows))
        quantile = float(t_quantile((1 + self.method.level) / 2, self.df.min()))
        half_width = quantile * np.sqrt(se**2 + self.fit.c.sum())
        shown = self.effects.scale.shown
        for name, x in (
            ("estimate", mean),
            ("low", mean - quantile * se),
            ("high", mean + quantile * se),
        ):
            frame[name] = shown(x)
        frame["prediction_low"], frame["prediction_high"] = (
            shown(mean - half_width),
            shown(mean + half_width),
        )
        return frame.assign(y=mean, se=se)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per coefficient, as shown; `y` and `se` on the analysis scale."""
        numbers = {"y": self.estimate, "se": self.se, "y_low": self.low, "y_high": self.high}
        tests = {"statistic": self.estimate / self.se, "df": self.df, "p_value": self.p_value}
        return coefficient_frame(self.design, self.scale, {**numbers, **tests})

    def summary(self) -> str:
        """Describe the result in words and numbers, with its limits."""
        head = (
            f"{self.effects.scale.name.capitalize()} of {self.effects.event} from {self.k}"
            " dependent effects"
        )
        what = (
            "" if self.design.names == ("intercept",) else f", regressed on {self.design.described}"
        )
        variances = ", ".join(f"{name} {wording.number(c)}" for name, c in self.components.items())
        lines = [
            f"{head}{what}.",
            *terms_text(self.to_frame(), self.design, self.scale),
            f"Variances by {self.method.tau2}: {variances}.",
            (
                f"Residual Q = {wording.number(self.q)} on {self.q_df:g} df,"
                f" {wording.p_text(self.q_p_value)}."
            ),
        ]
        return "\n".join([*lines, *(f"Note: {note}." for note in self.notes)])

    def methods_text(self) -> str:
        """Write the sentence for a methods section."""
        return (
            f"{self.k} dependent effects were analysed with random effects for "
            f"{wording.joined(self.names_of_components)}, variances by "
            f"{TAU2_NAMES[str(self.method.tau2)]}; tests by {self.method.ci}, "
            f"{wording.percent(self.method.level)} intervals."
        )

    def __repr__(self) -> str:
        return (
            f"Multilevel({self.effects.measure}, {self.k} effects,"
            f" {', '.join(self.names_of_components)})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class RobustTests(EffectsView):
    """Coefficients with cluster-robust standard errors.

    Returned by `kapmeta.robust`.

    Attributes
    ----------
    effects : Effects
        What was analysed.
    design : Design
        Moderators.
    model : str
        The working model in words.
    cluster : str
        What the clusters are.
    kind : str
        Type of the covariance, a word of `kapmeta.core.moderators.clustered.ROBUST_TYPES`.
    level : float
        Confidence level, a proportion.
    tests : kapmeta.core.moderators.clustered.Robust
        The numbers behind the properties.
    tau2 : float
        Between-study variance of the correlated-effects working model; nan for others.
    notes : tuple of str
        What a reader must know before quoting the result.
    """

    effects: Effects
    design: Design
    model: str
    cluster: str
    kind: str
    level: float
    tests: Robust
    tau2: float = math.nan
    notes: tuple[str, ...] = ()
    papers = ("cluster-robust",)

    def __post_init__(self) -> None:
        lock((*self.tests, self.design.matrix))

    @property
    def estimate(self) -> FloatArray:
        """Coefficients."""
        return self.tests.beta

    @property
    def se(self) -> FloatArray:
        """Cluster-robust standard errors."""
        return self.tests.se

    @property
    def low(self) -> FloatArray:
        """Lower confidence limits."""
        return self.tests.low

    @property
    def high(self) -> FloatArray:
        """Upper confidence limits."""
        return self.tests.high

    @property
    def df(self) -> FloatArray:
        """Satterthwaite's degrees of freedom."""
        return self.tests.df

    @property
    def p_value(self) -> FloatArray:
        """Two-sided p-values; nan for means of one group."""
        return tests_of_terms(self.design, self.scale, self.tests.p_value)

    @property
    def clusters(self) -> int:
        """Number of clusters."""
        return self.tests.clusters

    @property
    def interpretable(self) -> npt.NDArray[np.bool_]:
        """Which coefficients have four degrees of freedom or more, enough to read a p-value."""
        return np.asarray(self.tests.df >= FEWEST_DF)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per coefficient, as shown; `y` and `se` on the analysis scale."""
        frame = coefficient_frame(self.design, self.scale, coefficient_columns(self.tests))
        return frame.assign(interpretable=self.interpretable)

    def summary(self) -> str:
        """Describe the result in words and numbers, with its limits."""
        head = (
            f"{self.kind} cluster-robust tests, {self.clusters} clusters by {self.cluster};"
            f" {self.model}."
        )
        terms = terms_text(self.to_frame(), self.design, self.scale)
        return "\n".join([head, *terms, *(f"Note: {note}." for note in self.notes)])

    def methods_text(self) -> str:
        """Write the sentence for a methods section."""
        return (
            f"Standard errors are cluster-robust ({self.kind}, clusters: {self.cluster}) with"
            f" Satterthwaite degrees of freedom; {self.model}."
        )

    def __repr__(self) -> str:
        return f"RobustTests({self.kind}, {self.clusters} clusters by {self.cluster})"


FEWEST_DF = 4.0
"""Satterthwaite degrees of freedom that a robust p-value needs (Tipton 2015)."""

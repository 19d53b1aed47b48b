"""MetaRegression, effects regressed on moderators, and Design, the moderators as numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.moderators import moderator_permutation, regression, regression_diagnostics
from kapmeta.core.moderators.moderator_permutation import Permuted
from kapmeta.core.moderators.regression import Joint, Regression
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import t_quantile, t_two_sided
from kapmeta.measures import Measure
from kapmeta.methods import CI_NAMES, Method, tau2_name
from kapmeta.results.effects import Effects
from kapmeta.results.shared.views import EffectsView

__all__ = ["Design", "MetaRegression"]


def lock(values: Iterable[Any]) -> None:
    """Make the arrays among `values` read-only: a result does not change once it is made."""
    for value in values:
        if isinstance(value, np.ndarray):
            value.setflags(write=False)


def shown_coefficients(scale: Measure, x: npt.ArrayLike) -> FloatArray:
    """Turn coefficients into ratios of ratios for ratio measures; leave differences as they are."""
    x = np.asarray(x, dtype=np.float64)
    with np.errstate(over="ignore"):
        return np.exp(x) if scale.ratio else x


_FIELDS = {
    "y": "beta",
    "se": "se",
    "y_low": "low",
    "y_high": "high",
    **{name: name for name in ("statistic", "df", "p_value")},
}


def coefficient_columns(found: Any, *names: str) -> dict[str, FloatArray]:
    """Collect the columns of a fit by the names tables give them, all unless named."""
    return {name: getattr(found, _FIELDS[name]) for name in names or _FIELDS}


def coefficient_frame(
    design: Design, scale: Measure, numbers: Mapping[str, FloatArray]
) -> pd.DataFrame:
    """Build one row per coefficient: limits as shown, then numbers on the analysis scale."""
    ends = limits_named(
        *(_shown_terms(design, scale, numbers[name]) for name in ("y", "y_low", "y_high"))
    )
    tests = {
        name: tests_of_terms(design, scale, numbers[name]) for name in ("statistic", "p_value")
    }
    return pd.DataFrame({"term": design.names, **dict(ends), **numbers, **tests})


def _shown_terms(design: Design, scale: Measure, x: FloatArray) -> FloatArray:
    """Take means to the measure's own scale, and other coefficients to ratios or differences."""
    found, means = shown_coefficients(scale, x).copy(), list(design.means)
    found[means] = scale.shown(np.asarray(x)[means])
    return found


def tests_of_terms(design: Design, scale: Measure, values: FloatArray) -> FloatArray:
    """Return tests of coefficients; nan for means of one group, which nothing is tested against."""
    if scale.compares or not design.means:
        return values
    tested = np.array(values, dtype=np.float64)
    tested[list(design.means)] = np.nan
    tested.setflags(write=False)
    return tested


def analysis_scale_words(scale: Measure) -> str:
    """Say on which scale differences between measures of one group are: `` on the logit scale``."""
    word = scale.name.partition("(")[2].rstrip(")")
    return f" on the {word} scale" if word else ""


def terms_text(frame: pd.DataFrame, design: Design, scale: Measure) -> list[str]:
    """Write one sentence per coefficient; means of one group are not tested."""
    rows = zip(
        *(frame[name] for name in ("term", "estimate", "low", "high", "p_value")), strict=True
    )
    sentences = []
    for j, (term, *limits, p) in enumerate(rows):
        text = f"{term}: {wording.interval_text(*limits)}"
        if scale.compares or j not in design.means:
            plain = scale.compares or scale.ratio
            kind = "" if plain else f" (difference{analysis_scale_words(scale)})"
            text += f"{kind}, {wording.p_text(p)}"
        sentences.append(f"{text}.")
    return sentences


@dataclass(frozen=True, eq=False)
class Design:
    """Moderators as numbers.

    Attributes
    ----------
    matrix : ndarray, shape (k, p)
        One row per study, the column of ones included where there is one.
    names : tuple of str
        What the columns are called.
    intercept : int or None
        Position of the column of ones.
    described : str
        The moderators as a formula, for sentences.
    variables : tuple of str
        Columns of the studies' table the moderators were made from.
    encode : callable
        Takes a DataFrame with these columns to rows of the matrix.
    means : tuple of int
        Positions of the coefficients that are mean effects and not differences between effects: the
        intercept, or the levels of a factor where there is none.
    """

    matrix: FloatArray
    names: tuple[str, ...]
    intercept: int | None
    described: str
    variables: tuple[str, ...]
    encode: Callable[[pd.DataFrame], FloatArray]
    means: tuple[int, ...] = ()

    def rows(self, data: Any) -> FloatArray:
        """Build rows of the design matrix for the moderator values in `data`."""
        frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
        absent = [name for name in self.variables if name not in frame]
        if absent:
            raise ValueError(
                f'data has no column "{absent[0]}"; the moderators are made from'
                f" {', '.join(self.variables)}"
            )
        return self.encode(frame)


@dataclass(frozen=True, eq=False, repr=False)
class MetaRegression(EffectsView):
    """Effects regressed on moderators, with all that must be read beside it.

    Returned by `kapmeta.meta_regression`. Coefficients are on the analysis scale (log for ratios).

    Attributes
    ----------
    effects : Effects
        What was regressed, excluded studies included; `positions` are those that entered.
    method : Method
        Between-study variance estimator, test and interval, level.
    design : Design
        Moderators as numbers, one row per study that entered, and their names.
    fit : kapmeta.core.moderators.regression.Regression
        The numbers behind the properties.
    omnibus : Joint or None
        Test of all moderators together; None where there is none.
    tau2_low, tau2_high : float
        Q-profile interval of the residual between-study variance.
    q_p_value, i2, h2, r2 : float
        Test of residual heterogeneity; I2 and H2 of what the moderators leave; share of tau2 they
        explain.
    loglik, loglik_restricted : float
        Log-likelihoods at the estimate.
    modes : tuple of float
        Local maxima of the likelihood in tau2, the global one first.
    notes : tuple of str
        What a reader must know before quoting the result.
    """

    effects: Effects
    method: Method
    design: Design
    positions: npt.NDArray[np.int_]
    fit: Regression
    omnibus: Joint | None
    tau2_low: float
    tau2_high: float
    q_p_value: float
    i2: float
    h2: float
    r2: float
    loglik: float
    loglik_restricted: float
    modes: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    papers = ("meta-regression",)

    def __post_init__(self) -> None:
        lock((*self.fit, self.positions, self.design.matrix))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return self.design.names

    @property
    def k(self) -> int:
        """Studies that entered."""
        return int(self.fit.k)

    @property
    def tau2(self) -> float:
        """Residual between-study variance."""
        return float(self.fit.tau2)

    @property
    def q(self) -> float:
        """Residual heterogeneity statistic; its degrees of freedom are `q_df`."""
        return float(self.fit.q)

    @property
    def q_df(self) -> float:
        """Studies less coefficients."""
        return float(self.fit.q_df)

    @property
    def estimate(self) -> FloatArray:
        """Coefficients."""
        return self.fit.beta

    @property
    def se(self) -> FloatArray:
        """Standard errors of the coefficients."""
        return self.fit.se

    @property
    def low(self) -> FloatArray:
        """Lower confidence limits of the coefficients."""
        return self.fit.low

    @property
    def high(self) -> FloatArray:
        """Upper confidence limits of the coefficients."""
        return self.fit.high

    @property
    def p_value(self) -> FloatArray:
        """Two-sided p-values of the coefficients; nan for means of one group."""
        return tests_of_terms(self.design, self.scale, self.fit.p_value)

    @property
    def df(self) -> FloatArray:
        """Degrees of freedom of the coefficients' tests; infinite for a normal reference."""
        return self.fit.df

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the coefficients."""
        return self.fit.covariance

    @property
    def y(self) -> FloatArray:
        """Effects that entered, in the order of the rows of `design`."""
        return self.effects.y[self.positions]

    @property
    def v(self) -> FloatArray:
        """Their sampling variances."""
        return self.effects.v[self.positions]

    @property
    def labels(self) -> tuple[str, ...]:
        """Their labels."""
        return tuple(self.effects.labels[i] for i in self.positions)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per coefficient, limits as ratios of ratios or differences.

        Means (the intercept, the levels of a factor without one) are shown as the measure is;
        differences between proportions or correlations on the scale they were analysed on. `y` and
        `se` are on the analysis scale.
        """
        return coefficient_frame(self.design, self.scale, coefficient_columns(self.fit))

    def studies(self) -> pd.DataFrame:
        """Return one row per study: fitted value, residual, weight, what its absence changes."""
        moved = regression_diagnostics.coefficient_influence(
            self.y, self.v, self.design.matrix, tau2=self._estimator
        )
        fitted = self.design.matrix @ self.fit.beta
        frame = pd.DataFrame(
            {"study": self.labels, "y": self.y, "fitted": fitted, "residual": self.y - fitted}
        )
        for name in ["weight", "leverage", "studentised", "dffits", "cook", "covariance_ratio"]:
            frame[name] = getattr(moved, name)
        frame["tau2_without"], frame["q_without"] = moved.tau2, moved.q
        for j, term in enumerate(self.names):
            frame[f"dfbetas {term}"] = moved.dfbetas[:, j]
        return frame

    def leave_one_out(self) -> pd.DataFrame:
        """Fit without each study in turn: one row per study and coefficient, analysis scale."""
        found = regression_diagnostics.fit_without_each(
            self.y,
            self.v,
            self.design.matrix,
            tau2=self._estimator,
            ci=self.method.ci,
            level=self.method.level,
        )
        p = len(self.names)
        columns = coefficient_columns(found, "y", "se", "y_low", "y_high", "p_value")
        return pd.DataFrame(
            {
                "left_out": np.repeat(self.labels, p),
                "term": list(self.names) * self.k,
                **{name: x.ravel() for name, x in columns.items()},
                "tau2": np.repeat(found.tau2, p),
            }
        )

    def predict(self, data: Any, *, prediction: str = "t") -> pd.DataFrame:
        """Predict the mean effect at moderator values, with confidence and prediction limits.

        Parameters
        ----------
        data : DataFrame or mapping of columns
            Moderator values in the columns the fit was made from.
        prediction : str
            Prediction interval: ``t`` (k - p degrees of freedom), ``hts`` (k - p - 1), ``hk``,
            ``hk-pr``, ``normal``, ``none``.

        Returns
        -------
        DataFrame
            The values given; `estimate` with its limits on the scale shown; `y`, `se` on the
            analysis scale.
        """
        checking.chosen(
            prediction, regression_diagnostics.REGRESSION_PREDICTIONS, "prediction interval"
        )
        rows = self.design.rows(data)
        found = regression_diagnostics.predict(
            self.fit, rows, df=self._df(rows), prediction=prediction, level=self.method.level
        )
        shown = self.effects.scale.shown
        frame = pd.DataFrame(data).reset_index(drop=True)
        for name, x in limits_named(found.mean, found.low, found.high):
            frame[name] = shown(x)
        frame["prediction_low"], frame["prediction_high"] = (
            shown(found.prediction_low),
            shown(found.prediction_high),
        )
        return frame.assign(y=found.mean, se=found.se)

    def contrast(self, combination: Mapping[str, float]) -> pd.Series:
        """Test a combination of coefficients, e.g. ``{"dose[high]": 1, "dose[low]": -1}``.

        A combination whose weights on means add up to 1 is a mean itself, and shown as one.
        """
        row = np.zeros((1, len(self.names)))
        for name, factor in combination.items():
            row[0, self.names.index(checking.chosen(name, self.names, "coefficient"))] = factor
        y, df = float((row @ self.fit.beta)[0]), float(self._df(row)[0])
        se = float(np.sqrt(row @ self.fit.covariance @ row.T)[0, 0])
        half = float(t_quantile((1 + self.method.level) / 2, df)) * se
        mean = math.isclose(row[0, list(self.design.means)].sum(), 1.0, rel_tol=1e-9)
        show = self.scale.shown if mean else partial(shown_coefficients, self.scale)
        shown = dict(limits_named(*(float(show(x)) for x in (y, y - half, y + half))))
        p = math.nan if mean and not self.scale.compares else float(t_two_sided(y / se, df))
        return pd.Series({**shown, "y": y, "se": se, "df": df, "p_value": p})

    def variance_inflation(self) -> pd.Series:
        """Compute the variance inflation factor of each moderator."""
        factors = regression_diagnostics.variance_inflation(
            self.fit.model_covariance, self.design.intercept
        )
        return pd.Series(factors, index=list(self.names)).dropna()

    def permutation(self, *, draws: int = 10_000, rng: np.random.Generator | int = 0) -> Permuted:
        """Compute permutation p-values, from all arrangements or from `draws` random ones."""
        return moderator_permutation.permutation_test(
            self.y,
            self.v,
            self.design.matrix,
            tau2=self._estimator,
            ci=self.method.ci,
            intercept=self.design.intercept,
            draws=draws,
            rng=np.random.default_rng(rng),
        )

    @property
    def _estimator(self) -> Any:
        return 0.0 if self.method.model == "common" else self.method.tau2

    def _df(self, rows: FloatArray) -> FloatArray:
        return regression.combination_df(self.fit, self.v, self.design.matrix, rows, self.method.ci)

    def summary(self) -> str:
        """Describe the result in words and numbers, with its limits."""
        scale = self.scale
        terms = terms_text(self.to_frame(), self.design, scale)
        what = "ratio" if scale.ratio else "difference"
        where = "" if scale.compares or scale.ratio else analysis_scale_words(scale)
        head = (
            f"Meta-regression of the {scale.name} of {self.effects.event} on "
            f"{self.design.described}, {wording.studies(self.k)}; coefficients as {what} per unit"
            f"{where}."
        )
        return "\n".join(
            [
                head,
                *terms,
                self._joint_text(),
                self._heterogeneity_text(),
                *(f"Note: {note}." for note in self.notes),
            ]
        )

    def _joint_text(self) -> str:
        if self.omnibus is None:
            return "No moderator is tested jointly."
        joint = self.omnibus
        if math.isnan(float(joint.statistic)):
            return "All moderators together: the test does not exist for these effects."
        normal = math.isinf(float(joint.df2))
        name = (
            f"χ² on {joint.df1} df" if normal else f"F on {joint.df1} and {float(joint.df2):g} df"
        )
        value = wording.number(float(joint.statistic))
        return f"All moderators together: {name} = {value}, {wording.p_text(float(joint.p_value))}."

    def _heterogeneity_text(self) -> str:
        r2 = "" if math.isnan(self.r2) else f"; R² = {100 * self.r2:.0f} %"
        q = (
            f"residual Q = {wording.number(self.q)} on {self.q_df:g} df,"
            f" {wording.p_text(self.q_p_value)}"
        )
        if self.method.model == "common":
            return f"No between-study variance is assumed; {q}{r2}."
        ends = f"{wording.number(self.tau2_low)} to {wording.number(self.tau2_high)}"
        limits = f"{wording.percent(self.method.level)} CI {ends}"
        return f"Residual τ² = {wording.number(self.tau2)} ({limits}); {q}{r2}."

    def methods_text(self) -> str:
        """Write the sentence for a methods section."""
        between = (
            ""
            if self.method.model == "common"
            else f", residual between-study variance by {tau2_name(self.method)}"
        )
        return (
            f"{wording.studies(self.k).capitalize()} were regressed on {self.design.described} by"
            f" weighted least squares{between}; tests and {wording.percent(self.method.level)}"
            f" intervals: {CI_NAMES[self.method.ci]}."
        )

    def __repr__(self) -> str:
        return f"MetaRegression({self.effects.measure} {self.design.described}, k={self.k})"


def limits_named(estimate: Any, low: Any, high: Any) -> list[tuple[str, Any]]:
    return [("estimate", estimate), ("low", low), ("high", high)]

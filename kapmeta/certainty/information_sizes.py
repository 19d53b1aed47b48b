"""Information size: what one trial would need, the share reached, and sequential boundaries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.certainty.absolute_risks import CELLS
from kapmeta.checking import proportion
from kapmeta.core.certainty.information import (
    diversity,
    obrien_fleming_boundaries,
    required_information_size,
)
from kapmeta.core.numerics import masks
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.references import PAPERS
from kapmeta.results.pooled import Pooled, pooled_given
from kapmeta.results.shared.views import View

__all__ = ["InformationSize", "information_size"]


@dataclass(frozen=True, eq=False, repr=False)
class InformationSize(View):
    """The information there is, what one trial would need, and sequential boundaries.

    Attributes
    ----------
    required : float
        Participants that one trial would need (the optimal information size).
    diversity : float
        D squared; nan with one study, which has no heterogeneity.
    adjusted : float
        `required` divided by ``1 - diversity``.
    participants, events, fraction : float
        What there is, and its share of `adjusted`.
    table : DataFrame
        One row per look, in the order of `year`: `study`, `participants`, `fraction`, `z` (of the
        score test for one trial with a score interval), `boundary`, `crossed`.
    question : str
        What the size is for, in words.
    """

    required: float
    diversity: float
    adjusted: float
    participants: float
    events: float
    fraction: float
    table: pd.DataFrame
    question: str
    papers = ("information size", "boundaries")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per look."""
        return self.table.copy()

    def summary(self) -> str:
        """Give the size, the share reached, and whether the boundary is crossed."""
        last = self.table.iloc[-1]
        crossed = "is crossed" if last["crossed"] else "is not crossed"
        return (
            f"{self.question}, {math.ceil(self.adjusted):,} participants are needed;"
            f" {self.participants:,.0f} are there ({100 * self.fraction:.0f} %). z ="
            f" {last['z']:z.2f}; the boundary, {wording.number(last['boundary'])}, {crossed}."
            " Sequential boundaries were made for monitoring; a diversity of 0 from few trials is"
            " no evidence that they agree."
        )

    def methods_text(self) -> str:
        """Write the paragraph for a methods section."""
        return (
            f"{self.question}, the required information size was computed as for one trial of two"
            " equal arms and divided by 1 - D², D² being the diversity of the trials, or 0 where"
            " there is only one"
            f" ({PAPERS['information size']}). Two-sided boundaries for z spend"
            " the error by the O'Brien-Fleming-like function"
            f" ({PAPERS['boundaries']})."
        )

    def __repr__(self) -> str:
        return f"InformationSize({math.ceil(self.adjusted)} needed, {self.participants:.0f} there)"


@checking.checked
def information_size(
    pooled: Pooled,
    *,
    risk_ratio: float | None = None,
    difference: float | None = None,
    baseline: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
) -> InformationSize:
    """Compute how many participants would show an effect that matters, and the boundaries.

    The effect must come from outside the data: a size computed for the effect found is always
    nearly reached.

    Parameters
    ----------
    pooled : Pooled
        A result from trials with counts.
    risk_ratio, difference : float, optional
        The effect that would matter: a ratio, or a difference in proportions. Give one of the two.
    baseline : float, optional
        Risk under control; by default the control events of all trials over their participants.
    alpha, power : float
        Two-sided level and power, proportions.

    Returns
    -------
    InformationSize
        Size, what there is, and one row per look.

    Raises
    ------
    ValueError
        If not exactly one effect is given, if the risk it leads to is no proportion, or if there
        are no counts.

    References
    ----------
    .. [1] Wetterslev J, Thorlund K, Brok J, Gluud C. Estimating required information size by
       quantifying diversity in random-effects model meta-analyses. BMC Med Res Methodol 2009;9:86.
       https://doi.org/10.1186/1471-2288-9-86

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.certainty.information_sizes import information_size
    >>> information_size(km.review.answer(km.load_evidence(), "cocaine-end-of-trial"), risk_ratio=2)
    InformationSize(369 needed, 55 there)
    """
    pooled_given(pooled)
    if (risk_ratio is None) == (difference is None):
        raise ValueError("give the effect that would matter: either risk_ratio= or difference=")
    for name, value in (("alpha", alpha), ("power", power)):
        proportion(value, name)
    counts = _counts(pooled)
    p0 = (
        float(counts["events_c"].sum() / counts["n_c"].sum())
        if baseline is None
        else proportion(baseline, "baseline")
    )
    p1 = _treated_risk(p0, risk_ratio, difference)
    required = float(required_information_size(p0, p1, alpha=alpha, power=power))
    if not math.isfinite(required):
        raise ValueError(
            f"baseline = {p0:.4g} and the effect give a treated risk of {p1:.4g}: no size can be"
            " computed"
        )
    spread = _diversity(pooled)
    adjusted = required / (1 - (0.0 if math.isnan(spread) else spread))
    looks = _looks(pooled, counts, adjusted, alpha)
    people = float(counts[["n_t", "n_c"]].sum().sum())
    question = (
        f"To find {100 * p0:.1f} % against {100 * p1:.1f} % with {100 * power:g} % power at"
        f" {100 * alpha:g} %"
    )
    events = float(counts[["events_t", "events_c"]].sum().sum())
    return InformationSize(
        required, spread, adjusted, people, events, people / adjusted, looks, question
    )


def _treated_risk(control: float, risk_ratio: float | None, difference: float | None) -> float:
    """Return the risk that the effect leads to; refuse an effect that leads to none."""
    if risk_ratio is not None and not 0 < risk_ratio < 1 / control:
        raise ValueError(
            f"risk_ratio must lead from a baseline of {control:.4g} to a risk between 0 and 1:"
            f" got {risk_ratio:g}"
        )
    if difference is not None and not 0 < control + difference < 1:
        raise ValueError(
            f"difference must lead from a baseline of {control:.4g} to a risk between 0 and 1:"
            f" got {difference:g}"
        )
    return control * risk_ratio if risk_ratio is not None else control + float(difference or 0)


def _counts(pooled: Pooled) -> pd.DataFrame:
    table = pooled.effects.table
    if not set(CELLS) <= set(table.columns) or table.loc[
        pooled.effects.present, list(CELLS)
    ].isna().any(axis=None):
        raise ValueError(
            "an information size needs the counts of every trial; one has a reported effect only"
        )
    labels = pd.Series(list(pooled.effects.labels), index=table.index)
    return table.assign(study=labels)[pooled.effects.present]


def _diversity(pooled: Pooled) -> float:
    if pooled.k < 2 or math.isnan(pooled.tau2):
        return math.nan
    v = pooled.effects.v[pooled.effects.present]
    return float(diversity(1 / np.sum(1 / v), 1 / np.sum(1 / (v + pooled.tau2))))


def _z_value(pooled: Pooled) -> float:
    """Divide the estimate by its standard error; without one, use the deviate of the p-value."""
    if math.isfinite(pooled.se):
        return pooled.estimate / pooled.se
    return math.copysign(float(normal_quantile(1 - pooled.p_value / 2)), pooled.estimate)


def _looks(pooled: Pooled, counts: pd.DataFrame, adjusted: float, alpha: float) -> pd.DataFrame:
    """Tabulate cumulative z against the boundaries, one look per trial by `year` or as given."""
    order = (
        np.argsort(counts["year"].to_numpy(), kind="stable")
        if "year" in counts
        else np.arange(len(counts))
    )
    people = counts[["n_t", "n_c"]].sum(axis=1).to_numpy(dtype=np.float64)[order].cumsum()
    fractions = people / adjusted
    z = np.array([_z_value(pooled)])
    if pooled.refit is not None and len(counts) > 1:
        found = pooled.refit(masks.cumulative(order))
        z = np.asarray(found.estimate / found.se)
    boundary = obrien_fleming_boundaries(fractions, alpha=alpha)
    return pd.DataFrame(
        {
            "study": counts["study"].to_numpy()[order],
            "participants": people,
            "fraction": fractions,
            "z": z,
            "boundary": boundary,
            "crossed": np.abs(z) > boundary,
        }
    )

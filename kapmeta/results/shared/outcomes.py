"""Outcomes: the event, its direction and the arms of effects, and whether two say the same."""

from __future__ import annotations

from typing import NamedTuple

from kapmeta.results.shared.rows import same_name
from kapmeta.wording import opposite_event

__all__ = ["Outcome", "are_opposite", "are_swapped", "joined_outcome", "refuse_contradiction"]


class Outcome(NamedTuple):
    """What effects are of.

    Attributes
    ----------
    event : str
        What is counted; "event" where it has no name.
    event_is_good : bool or None
        Whether more of it is good; None while it is not known.
    treatment, control : str
        The arms.
    opposite : str or None
        Name of the opposite event, where it has been declared.
    """

    event: str
    event_is_good: bool | None
    treatment: str
    control: str
    opposite: str | None = None

    @property
    def arms(self) -> str:
        """The two arms in words."""
        return f"{self.treatment} against {self.control}"


def are_swapped(first: Outcome, other: Outcome) -> bool:
    """Decide whether the arms of `other` are those of `first` in the other order.

    Raises
    ------
    ValueError
        If the control of one is treated in the other, and they are not simply swapped.
    """
    crossed = (same_name(other.treatment, first.control), same_name(other.control, first.treatment))
    if not any(crossed) or same_name(first.treatment, first.control):
        return False
    if not all(crossed):
        raise ValueError(
            f"effects of {first.arms} and of {other.arms} cannot be put together: what is the"
            " control of one part is treated in the other. Analyse them apart"
        )
    return True


def are_opposite(first: Outcome, other: Outcome) -> bool:
    """Decide whether `other` is of the declared opposite of the event of `first`.

    An event without a name is of whatever event it is put together with.

    Raises
    ------
    ValueError
        If the events differ and neither is declared to be the opposite of the other.
    """
    if "event" in (first.event, other.event) or same_name(first.event, other.event):
        return False
    declared = (
        (first.opposite, other.event),
        (other.opposite, first.event),
        (opposite_event(first.event), other.event),
        (opposite_event(other.event), first.event),
    )
    if not any(name is not None and same_name(name, event) for name, event in declared):
        raise ValueError(
            f'effects of "{first.event}" and of "{other.event}" cannot be put together. If they are'
            f' opposites, turn the second round: second.reversed("{first.event}") where the measure'
            " allows it, else compute it from complement(trials)"
        )
    return True


def refuse_contradiction(first: Outcome, other: Outcome) -> None:
    """Refuse two outcomes of which one calls the event good and the other bad."""
    known = {first.event_is_good, other.event_is_good} - {None}
    if len(known) > 1:
        words = ["good" if each.event_is_good else "bad" for each in (first, other)]
        raise ValueError(
            f'"{first.event}" is {words[0]} in one part and "{other.event}" is {words[1]} in the'
            " other: effects put together must be of one event; turn one part round with reversed,"
            " or correct event_is_good"
        )


def joined_outcome(first: Outcome, other: Outcome) -> Outcome:
    """Combine two outcomes that say the same; arms that differ go by plain words."""
    return Outcome(
        event=other.event if first.event == "event" else first.event,
        event_is_good=other.event_is_good if first.event_is_good is None else first.event_is_good,
        treatment=_common(first.treatment, other.treatment, "treatment"),
        control=_common(first.control, other.control, "control"),
        opposite=first.opposite or other.opposite,
    )


def _common(first: str, second: str, plain: str) -> str:
    return first if same_name(first, second) else plain

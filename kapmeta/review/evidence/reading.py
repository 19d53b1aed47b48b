"""The evidence as one value, and what can be asked of it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kapmeta import checking
from kapmeta.review.evidence import trials
from kapmeta.review.evidence.description import Schema, codebook_frame

Choice = str | Iterable[str] | None


@dataclass(frozen=True, repr=False, eq=False)
class Evidence:
    """The evidence tables, checked. Made by `load_evidence`; nothing in it can be altered.

    Every table is given as a copy, so that changing what was asked for changes nothing here. In
    them empty text is ``""``, an unknown number is missing, and lists of ids are text with
    semicolons.

    Attributes
    ----------
    studies, arms, outcomes, comparisons, effects, harms : DataFrame
        The tables of results; `codebook` says what each column means.
    risk_of_bias, claims, grade, sources : DataFrame
        The tables of judgements and sources.
    pending, known_missing, search, screened : DataFrame
        What has not been read, what is known of it, and how the evidence was found.
    flags : DataFrame
        What is worth knowing but breaks no rule, such as a printed percentage that no count
        attains: table, row (line of the file), study, column, rule, message.
    data_hash : str
        SHA-256 of the files, so that a result can name the data it came from.
    """

    _tables: Mapping[str, pd.DataFrame]
    _schemas: Mapping[str, Schema]
    _flags: pd.DataFrame = field(default_factory=pd.DataFrame)
    data_hash: str = ""

    @property
    def studies(self) -> pd.DataFrame:
        """One row per study, pooled or not."""
        return self._tables["studies"].copy()

    @property
    def arms(self) -> pd.DataFrame:
        """One row per study and arm."""
        return self._tables["arms"].copy()

    @property
    def outcomes(self) -> pd.DataFrame:
        """One row per study, arm, outcome and time."""
        return self._tables["outcomes"].copy()

    @property
    def comparisons(self) -> pd.DataFrame:
        """One row per comparison of two arms, with its place in the plan."""
        return self._tables["comparisons"].copy()

    @property
    def effects(self) -> pd.DataFrame:
        """One row per effect as its source reports it, usable or not."""
        return self._tables["effects"].copy()

    @property
    def risk_of_bias(self) -> pd.DataFrame:
        """One row per result and domain."""
        return self._tables["risk_of_bias"].copy()

    @property
    def harms(self) -> pd.DataFrame:
        """One row per study, arm and harm."""
        return self._tables["harms"].copy()

    @property
    def claims(self) -> pd.DataFrame:
        """One row per claim that was held against the sources."""
        return self._tables["claims"].copy()

    @property
    def grade(self) -> pd.DataFrame:
        """One row per declared question and GRADE domain, as a person judged it."""
        return self._tables["grade"].copy()

    @property
    def sources(self) -> pd.DataFrame:
        """One row per document that was read."""
        return self._tables["sources"].copy()

    @property
    def pending(self) -> pd.DataFrame:
        """One row per figure that has not been read yet, with where it is."""
        return self._tables["pending"].copy()

    @property
    def known_missing(self) -> pd.DataFrame:
        """One row per study and question it answers or would: what of its result was read."""
        return self._tables["known_missing"].copy()

    @property
    def search(self) -> pd.DataFrame:
        """One row per round of searching, as it was done."""
        return self._tables["search"].copy()

    @property
    def screened(self) -> pd.DataFrame:
        """One row per report that was looked at, with what became of it and why."""
        return self._tables["screened"].copy()

    @property
    def flags(self) -> pd.DataFrame:
        """One row per finding that breaks no rule but should be known."""
        return self._flags.copy()

    def trials(
        self,
        substance: Choice = None,
        *,
        contrast: Choice = None,
        randomised: bool | None = None,
        role: Choice = None,
        comparison_id: Choice = None,
        window: Choice = None,
    ) -> pd.DataFrame:
        """Pair the counts of the two arms of each comparison, for the effect functions.

        Without arguments every comparison is given, also those the plan never pools together: time
        points of the same patients, randomised and not, ketamine against none and against less.
        Choose before pooling. Only a comparison that counts people of another (`overlaps_with`) is
        left out beside it; it is given in its place, or when named by `comparison_id`.

        Parameters
        ----------
        substance, contrast, role, window : str or iterable of str, optional
            Words of the columns of that name; None for all.
        comparison_id : str or iterable of str, optional
            Comparisons by name.
        randomised : bool, optional
            True for randomised comparisons only, False for the others only.

        Returns
        -------
        DataFrame
            One row per comparison, by substance, year and months; no rows where nothing fits.
            Reports that count the same people have one `study`, so that no pool takes both; `label`
            and `study_id` tell them apart. Counts are participants. ``missing_t`` and ``missing_c``
            were randomised and are outside ``n_t`` and ``n_c`` (``totals="observed"`` for the
            functions that ask); they are nan where the source does not give them. ``missing`` is
            their sum, also where only that is known. ``unknown_t`` and ``unknown_c`` are inside and
            count as without the event (``totals="randomised"``). The evidence level and the origin
            are those of the weaker arm.

        Raises
        ------
        ValueError
            For a word that is not in the data's vocabulary; the message lists the words.
        TypeError
            If `randomised` is not a bool.

        Examples
        --------
        >>> import kapmeta.review.evidence
        >>> evidence = kapmeta.review.evidence.load_evidence()
        >>> evidence.trials("cocaine", role="main")[["label", "events_t", "n_t", "events_c", "n_c"]]
                 label  events_t  n_t  events_c  n_c
        0  Dakwar 2019        13   27         3   28
        """
        frame = trials.trial_frame(self._tables, self._schemas)
        frame = self._chosen(frame, "comparisons", "comparison_id", comparison_id)
        frame = self._chosen(frame, "studies", "substance", substance)
        for column, wanted in (("contrast", contrast), ("role", role), ("window", window)):
            frame = self._chosen(frame, "comparisons", column, wanted)
        if randomised is not None:
            if not isinstance(randomised, bool):
                raise TypeError(f"randomised must be True, False or None: {randomised!r}")
            frame = frame[checking.established(frame, "randomised") == randomised]
        if comparison_id is None:
            frame = frame[~frame["overlaps_with"].isin(frame["comparison_id"])]
        return frame.reset_index(drop=True)

    def reported(
        self,
        substance: Choice = None,
        *,
        measure: Choice = None,
        outcome: Choice = None,
        role: Choice = None,
    ) -> pd.DataFrame:
        """Select effects as their sources report them, for trials without known counts.

        Only what can be analysed: an estimate on the scale of `measure` with an interval or an
        exact P value. `effects` has the others too. Effects of one trial share patients; `role`
        distinguishes them.

        Parameters
        ----------
        substance, measure, role : str or iterable of str, optional
            Words of the columns of that name; None for all.
        outcome : str or iterable of str, optional
            Words of the column ``event``, e.g. ``"relapse"``.

        Returns
        -------
        DataFrame
            One row per effect, ratios not logged, by substance, year and months.

        Raises
        ------
        ValueError
            For a word that is not in the data's vocabulary; the message lists the words.

        Examples
        --------
        >>> import kapmeta.review.evidence
        >>> evidence = kapmeta.review.evidence.load_evidence()
        >>> columns = ["label", "event", "estimate", "low", "high"]
        >>> evidence.reported("alcohol", measure="OR")[columns]
                  label    event  estimate   low  high
        0  Grabski 2022  relapse       0.8  0.31   2.1
        """
        frame = trials.reported_frame(self._tables, self._schemas)
        frame = self._chosen(frame, "studies", "substance", substance)
        frame = self._chosen(frame, "effects", "measure", measure)
        frame = self._chosen(frame, "effects", "event", outcome, name="outcome")
        return self._chosen(frame, "effects", "role", role).reset_index(drop=True)

    def flow(self) -> pd.DataFrame:
        """Count the reports looked at, what left at each step, and what remained.

        For `kapmeta.plot.flow_diagram`. The search was documented and not systematic; its title
        must say so.

        Examples
        --------
        >>> import kapmeta as km
        >>> steps = km.load_evidence().flow()
        >>> steps[~steps["aside"]]["label"].tolist()
        ['Reports looked at', 'Studies in the tables', 'Studies whose numbers answer a question']
        """
        return trials.flow_frame(self._tables)

    def declared_arms(self) -> pd.DataFrame:
        """List the arms of trials with several, with their levels, for `kapmeta.effects.contrasts`.

        An arm without a drug has the levels ``"none"`` and 0. Doses differ as numbers by body
        weight, not as texts; a dose or a number of sessions that one arm of a drug does not tell is
        ``"not known"`` in all arms of that drug, since no difference can be shown.

        Examples
        --------
        >>> import kapmeta as km
        >>> arms = km.load_evidence().declared_arms().set_index(["study", "arm"])
        >>> arms.loc["yoon2025", ["dose", "sessions", "co_treatment"]].values.tolist()
        [[0.5, 4, 'naltrexone 380 mg'], [0.5, 4, 'none'], [0.045, 4, 'none']]
        """
        return trials.declared_arms(self._tables["arms"])

    def against(self, study: str, control: str, *, event: str) -> pd.DataFrame:
        """Compare every other arm of a trial with one of its arms, one row each.

        Parameters
        ----------
        study, control : str
            Ids of the trial and of the arm.
        event : str
            What was counted.

        Returns
        -------
        DataFrame
            Columns as `kapmeta.risk_ratio` takes them, with `comparison_id` telling the rows apart.

        Raises
        ------
        ValueError
            If the trial has no counts of the event in that arm.

        Examples
        --------
        >>> import kapmeta as km
        >>> rows = km.load_evidence().against("terasaki2022", "la", event="readmission")
        >>> rows[["treatment", "events_t", "n_t"]]
                      treatment  events_t  n_t
        0    ketamine 0.5 mg/kg         2   13
        1  naltrexone 380 mg IM         3   14
        """
        return trials.against_frame(self._tables, study, control, event)

    def _chosen(
        self, frame: pd.DataFrame, table: str, column: str, wanted: Choice, *, name: str = ""
    ) -> pd.DataFrame:
        """Keep rows whose `column` is one of the words `wanted`; refuse an unknown word."""
        if wanted is None:
            return frame
        words = [wanted] if isinstance(wanted, str) else list(wanted)
        known = self._schemas[table].column(column).words or tuple(self._tables[table][column])
        for word in words:
            if word not in known:
                raise ValueError(
                    f'unknown {name or column} "{word}"; use one of: {", ".join(known)}'
                )
        return frame[frame[column].isin(words)]

    def codebook(self) -> pd.DataFrame:
        """List every column of every table with its type, unit, meaning and constraints."""
        return codebook_frame(self._schemas)

    def __repr__(self) -> str:
        sizes = [
            f"{len(self._tables[name])} {name}" for name in ("studies", "comparisons", "sources")
        ]
        return (
            f"Evidence({', '.join(sizes)}, {len(self._flags)} flags, sha256 {self.data_hash[:8]})"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{name}</td><td>{len(self._tables[name])}</td><td>{html.escape(schema.title)}</td></tr>"
            for name, schema in self._schemas.items()
        )
        head = "<tr><th>table</th><th>rows</th><th>what a row is</th></tr>"
        table = f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
        return f"<p>{html.escape(repr(self))}</p>{table}"


def evidence_given(value: Any, name: str = "evidence") -> Evidence:
    """Return `value` if it is `Evidence`; refuse anything else."""
    return checking.instance(value, Evidence, name, "come from load_evidence")

# %% [markdown]
# # The evidence: what is known, from where, how sure
#
# Everything in the other notebooks comes from the tables shown here. Each number has its
# source, the place in that source, an evidence level (read in the trial's report, in its abstract,
# or only in somebody else's summary) and an origin (printed, derived from a percentage,
# reconstructed). Nothing was filled in from memory.

# %%
import pandas as pd

import kapmeta as km
from kapmeta.review.reproduce import save_figure, save_table

pd.set_option("display.max_colwidth", None)
evidence = km.load_evidence()
evidence

# %% [markdown]
# ## The comparisons with abstinence counts
#
# One row a comparison of two arms: `events_t` of `n_t` people were abstinent in the ketamine arm,
# `events_c` of `n_c` in the other.

# %%
trials = evidence.trials()
arms = [
    "substance",
    "randomised",
    "window",
    "treatment",
    "control",
    "events_t",
    "n_t",
    "events_c",
    "n_c",
]
save_table(
    trials[["comparison_id", "label", *arms, "contrast", "evidence_level", "origin", "role"]],
    "evidence-comparisons",
)
trials.set_index("label")[arms]

# %% [markdown]
# Where both arms had ketamine, `contrast` says so (dose, sessions). `role` is what the declared
# plan does with the comparison.

# %%
trials[["label", "window", "contrast", "role"]]

# %% [markdown]
# ## How sure is each count?
#
# `primary_abstract`: printed by the authors. `secondary_summary`: somebody else printing the
# trial's figure. `tertiary_only_conflict`: seen only in a document whose claims this project
# examines, and the figure fits no count; nothing is computed from it for the headline. A count
# "derived_from_percentage" is the only one that gives the percentage printed.

# %%
trials.set_index("label")[["window", "evidence_level", "origin", "percent_t", "percent_c"]]

# %% [markdown]
# Where each count is found in its sources, which are listed below.

# %%
trials.set_index("label")[["window", "locator_t", "locator_c"]]

# %% [markdown]
# ## Percentages that no count can give
#
# A percentage of n people can only take certain values. These printed percentages fit no count, or
# fit one only by a slip of rounding; the count is kept and the row is flagged.

# %%
save_table(evidence.flags, "evidence-flags")

# %% [markdown]
# ## Effects as reported
#
# Trials whose counts were not reached, or whose outcome is not a count. An odds ratio or a hazard
# ratio of relapse below 1 is in favour of ketamine, unlike a ratio of abstinence.

# %%
reported = evidence.reported()
save_table(
    reported[
        [
            "label",
            "substance",
            "contrast",
            "event",
            "measure",
            "estimate",
            "low",
            "high",
            "evidence_level",
            "role",
        ]
    ],
    "evidence-reported-effects",
).drop(columns="substance")

# %% [markdown]
# ## Every study that was looked at
#
# Also those that give no abstinence count: single-arm reports, laboratory studies, duplicates, and
# trials known from a registry or a grant that have no result yet.

# %%
studies = evidence.studies
save_table(
    studies[
        ["study_id", "substance", "design", "randomised", "n_randomised", "n_analysed", "n_missing"]
    ],
    "evidence-studies",
).drop(columns="randomised").set_index("study_id")

# %% [markdown]
# ## How they were found
#
# Not by a systematic search: no bibliographic database could be queried. What was searched, when
# and with what words is written down as it was, and so is what became of every report.

# %%
save_table(evidence.search, "evidence-search")

# %%
axes = km.plot.flow_diagram(
    evidence.flow(),
    title="What was looked at: a documented, non-systematic search (drawn after PRISMA 2020)",
)
save_figure(axes, "evidence-flow")

# %%
save_table(evidence.screened, "evidence-screened")

# %% [markdown]
# ## Known, and not in the numbers
#
# What has been read of each study that answers a declared question or would answer it, and what is
# known of a result that has not been read.

# %%
save_table(evidence.known_missing, "evidence-known-missing")

# %% [markdown]
# ## Harms, as counted

# %%
save_table(evidence.harms, "evidence-harms")

# %% [markdown]
# ## Risk of bias
#
# Provisional judgements of results, made from what of each report was read; what could not be
# judged says so. The weak points recur: ketamine can be felt, so blinding fails, and who dropped
# out is mostly unknown.

# %%
bias = evidence.risk_of_bias
save_table(
    bias[["study_id", "event", "timepoint", "tool", "domain", "judgement", "reason"]],
    "evidence-risk-of-bias",
)

# %% [markdown]
# ## Figures known to exist but not yet read
#
# The list that would change these notebooks most.

# %%
save_table(evidence.pending, "evidence-pending")

# %% [markdown]
# ## The sources

# %%
save_table(evidence.sources, "evidence-sources")

# %% [markdown]
# ## What every column means

# %%
save_table(evidence.codebook(), "evidence-codebook")

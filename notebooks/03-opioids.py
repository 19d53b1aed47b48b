# %% [markdown]
# # Opioids
#
# Trials in heroin dependence. Krupitsky 2007 compares three sessions of ketamine with one,
# Krupitsky 2002 a high dose with a low one: neither has a control without ketamine. They answer
# different questions and are never pooled with one another, nor with trials of ketamine against
# control.

# %%
import pandas as pd

import kapmeta as km
from kapmeta.review.reproduce import save_figure, save_table

pd.set_option("display.max_colwidth", None)
evidence = km.load_evidence()
trials = evidence.trials(substance="opioids")
trials[
    [
        "label",
        "window",
        "treatment",
        "control",
        "events_t",
        "n_t",
        "events_c",
        "n_c",
        "evidence_level",
        "role",
    ]
]

# %% [markdown]
# ## Each trial on every scale
#
# The limits are Wald's, on every scale; below, a single trial has its score interval,
# which holds its level in small trials.

# %%
save_table(km.sensitivity.every_measure(trials, opposite="relapse"), "opioids-measures")

# %% [markdown]
# ## Three sessions against one

# %%
sessions = km.review.answer(evidence, "opioids-sessions")
save_table(sessions.to_frame(), "opioids-sessions")
axes = km.plot.forest(sessions)
save_figure(axes, "opioids-sessions")

# %%
sessions

# %%
km.review.conclusion(sessions)

# %%
headline = km.headline(sessions.effects)
save_table(headline.to_frame(), "opioids-sessions-headline")
headline

# %% [markdown]
# ## High dose against low dose
#
# Counts known only from a summary of summaries are marked ¶; 01-evidence says where they were seen
# and which printed percentages no count gives. They are shown, they enter no main pool, and nothing
# is concluded from them.

# %%
dose = km.review.answer(evidence, "opioids-dose")
save_table(dose.to_frame(), "opioids-dose")
axes = km.plot.forest(dose)
save_figure(axes, "opioids-dose")

# %%
km.review.conclusion(dose)

# %% [markdown]
# ## Pooling them is refused

# %% tags=["raises-exception"]
km.pool(km.risk_ratio(trials))

# %% [markdown]
# ## Sensitivity
#
# Where a question has a single trial there is nothing to leave out and no between-study variance to
# estimate; what can be varied is the zero-cell rule, the measure (above), and what became of the
# patients of Krupitsky 2007 who are outside its percentages, in unknown arms.

# %%
rules = km.sensitivity.zero_rules(trials)
save_table(rules.to_frame(), "opioids-zero-rules")
rules

# %%
observed = evidence.trials(substance="opioids", contrast="sessions")
save_table(
    km.sensitivity.sensitivity_table(observed, totals="observed", opposite="relapse"),
    "opioids-sensitivity",
)

# %% [markdown]
# ## What is not in here

# %%
evidence.pending.query("study_id in ['krupitsky2002', 'krupitsky2007']")

# %% [markdown]
# # Opioids
#
# Trials in heroin dependence. Krupitsky 2007 compares three sessions of ketamine with one, Krupitsky 2002 a high dose
# with a low one: neither has a control without ketamine. They answer different questions and are never pooled with one
# another, nor with trials of ketamine against control.

# %%
import pandas as pd

import kapmeta as km
from kapmeta.reproduce import save_figure, save_table

pd.set_option("display.max_colwidth", None)
evidence = km.load_evidence()
trials = evidence.trials(substance="opioids")
trials[
    [
        "label",
        "contrast",
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

# %%
save_table(km.every_measure(trials, opposite="relapse"), "opioids-measures")

# %% [markdown]
# ## Three sessions against one

# %%
sessions = km.registered(evidence, "opioids-sessions")
save_table(sessions.to_frame(), "opioids-sessions")
axes = km.plot.forest(sessions)
save_figure(axes, "opioids-sessions")

# %%
sessions

# %%
km.conclusion(sessions)

# %%
headline = km.headline(sessions.effects)
save_table(headline.to_frame(), "opioids-sessions-headline")
headline

# %% [markdown]
# ## High dose against low dose
#
# Known from a tertiary source only, with a printed percentage that no count of its arm gives (01-evidence lists it).
# Shown, and out of every main pool.

# %%
dose = km.registered(evidence, "opioids-dose")
save_table(dose.to_frame(), "opioids-dose")
axes = km.plot.forest(dose)
save_figure(axes, "opioids-dose")

# %%
km.conclusion(dose)

# %% [markdown]
# ## Pooling them is refused

# %% tags=["raises-exception"]
km.pool(km.risk_ratio(trials))

# %% [markdown]
# ## Sensitivity
#
# Where a question has a single trial there is nothing to leave out and no between-study variance to estimate; what can
# be varied is the zero-cell rule, the measure (above), and what became of the patients of Krupitsky 2007 who are
# outside its percentages, in unknown arms.

# %%
rules = km.zero_rules(trials)
save_table(rules.to_frame(), "opioids-zero-rules")
rules

# %%
six_missing = evidence.trials(substance="opioids", contrast="sessions").assign(missing=6)
save_table(km.sensitivity_table(six_missing, totals="observed"), "opioids-sensitivity")

# %% [markdown]
# ## What is not in here

# %%
evidence.pending.query("study_id in ['krupitsky2002', 'krupitsky2007']")

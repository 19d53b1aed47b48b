# %% [markdown]
# # Opioids
#
# Two trials in heroin dependence. Neither compares ketamine with a control without ketamine: one compares three
# sessions with one, the other a high dose with a low one. They answer different questions and are never pooled with
# one another, nor with trials of ketamine against control.

# %%
import kapmeta as km
from kapmeta.reproduce import save_figure, save_table

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
print(sessions.summary())

# %%
km.conclusion(sessions)

# %%
headline = km.headline(sessions.effects)
save_table(headline.to_frame(), "opioids-sessions-headline")
print(headline.summary())

# %% [markdown]
# ## High dose against low dose
#
# Known from a tertiary source only, with a printed percentage that no count of 35 gives. Shown, and out of every
# main pool.

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
# With one trial a question there is nothing to leave out and no between-study variance to estimate; what can be
# varied is the zero-cell rule (no table has a zero cell) and the measure (above).

# %%
save_table(km.zero_rules(trials).to_frame(), "opioids-zero-rules")

# %%
save_table(km.sensitivity_table(evidence.trials(substance="opioids", contrast="sessions")), "opioids-sensitivity")

# %% [markdown]
# ## What is not in here

# %%
evidence.pending.query("study_id in ['krupitsky2002', 'krupitsky2007']")

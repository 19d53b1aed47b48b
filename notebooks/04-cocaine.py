# %% [markdown]
# # Cocaine
#
# One randomised trial, seen at two times: the end of the trial, and six months later by telephone, where nobody in
# the control arm was abstinent. The two times are the same people and are never pooled.

# %%
import kapmeta as km
from kapmeta.reproduce import save_figure, save_table

evidence = km.load_evidence()
trials = evidence.trials(substance="cocaine")
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
        "origin",
        "role",
    ]
]

# %% [markdown]
# ## Both times on every scale

# %%
save_table(km.every_measure(trials, opposite="relapse"), "cocaine-measures")

# %% [markdown]
# ## End of trial

# %%
end = km.registered(evidence, "cocaine-end-of-trial")
save_table(end.to_frame(), "cocaine-end-of-trial")
axes = km.plot.forest(end)
save_figure(axes, "cocaine-end-of-trial")

# %%
print(end.summary())

# %%
km.conclusion(end)

# %%
headline = km.headline(end.effects)
save_table(headline.to_frame(), "cocaine-end-of-trial-headline")
print(headline.summary())

# %% [markdown]
# ## Six months: a zero cell
#
# Adding 0.5 makes a number out of a table that has no upper bound. The score interval needs no correction: the lower
# limit is what the trial says.

# %%
later = km.registered(evidence, "cocaine-6-months")
save_table(later.to_frame(), "cocaine-6-months")
axes = km.plot.forest(later)
save_figure(axes, "cocaine-6-months")

# %%
print(later.summary())

# %%
km.conclusion(later)

# %% [markdown]
# ### What the zero-cell rule decides

# %%
save_table(km.zero_rules(trials).to_frame(), "cocaine-zero-rules")

# %% [markdown]
# ## Two times of one trial are not two trials

# %% tags=["raises-exception"]
km.pool(km.risk_ratio(trials))

# %% [markdown]
# ## Does the conclusion hold under other choices?

# %%
save_table(km.sensitivity_table(trials, time="earliest"), "cocaine-sensitivity")

# %% [markdown]
# ## Other effects the trial reported

# %%
evidence.reported(substance="cocaine")[
    ["label", "event", "measure", "estimate", "low", "high", "adjusted", "evidence_level"]
]

# %% [markdown]
# ## What is not in here

# %%
evidence.pending.query("study_id == 'dakwar2019'")

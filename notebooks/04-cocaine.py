# %% [markdown]
# # Cocaine
#
# Dakwar 2019 is a randomised trial seen at two times: its end, and six months later by telephone,
# where nobody in the control arm was abstinent. The two times are the same people and are never
# pooled.

# %%
import pandas as pd
from IPython.display import Markdown

import kapmeta as km
from kapmeta.review.evidence.missing import missing_trials_sentence
from kapmeta.review.reproduce import save_figure, save_table

pd.set_option("display.max_colwidth", None)
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
        "role",
    ]
]

# %%
Markdown(missing_trials_sentence(evidence, "cocaine-end-of-trial"))

# %% [markdown]
# ## Both times on every scale
#
# The limits are Wald's, on every scale; below, a single trial has its score interval,
# which holds its level in small trials.

# %%
save_table(km.sensitivity.every_measure(trials, opposite="relapse"), "cocaine-measures")

# %% [markdown]
# ## End of trial

# %%
end = km.review.answer(evidence, "cocaine-end-of-trial")
save_table(end.to_frame(), "cocaine-end-of-trial")
axes = km.plot.forest(end)
save_figure(axes, "cocaine-end-of-trial")

# %%
end

# %%
km.review.conclusion(end)

# %%
headline = km.headline(end.effects)
save_table(headline.to_frame(), "cocaine-end-of-trial-headline")
headline

# %% [markdown]
# ## Six months: a zero cell
#
# A continuity correction makes a number out of a table that has no upper bound. The score interval
# needs none: the lower limit is what the trial says.

# %%
later = km.review.answer(evidence, "cocaine-6-months")
save_table(later.to_frame(), "cocaine-6-months")
axes = km.plot.forest(later)
save_figure(axes, "cocaine-6-months")

# %%
later

# %%
km.review.conclusion(later)

# %% [markdown]
# ### What the zero-cell rule decides

# %%
rules = km.sensitivity.zero_rules(trials)
save_table(rules.to_frame(), "cocaine-zero-rules")
rules

# %% [markdown]
# ## Two times of one trial are not two trials

# %% tags=["raises-exception"]
km.pool(km.risk_ratio(trials))

# %% [markdown]
# ## Does the conclusion hold under other choices?

# %%
save_table(
    km.sensitivity.sensitivity_table(trials, time="earliest", opposite="relapse"),
    "cocaine-sensitivity",
)

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

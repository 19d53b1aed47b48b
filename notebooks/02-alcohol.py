# %% [markdown]
# # Alcohol
#
# Ketamine with psychotherapy against a control, abstinence from alcohol. A comparison that was not
# randomised, or nowhere says that it was, is never put into one diamond with the randomised trials.

# %%
import pandas as pd
from IPython.display import Markdown

import kapmeta as km
from kapmeta.review.evidence.missing import counts_reread_sentence, missing_trials_sentence
from kapmeta.review.evidence.overlaps import overlapping_reports
from kapmeta.review.reproduce import save_figure, save_table

pd.set_option("display.max_colwidth", None)
evidence = km.load_evidence()
trials = evidence.trials(substance="alcohol")
trials[
    [
        "label",
        "randomised",
        "window",
        "treatment",
        "control",
        "events_t",
        "n_t",
        "events_c",
        "n_c",
        "evidence_level",
    ]
]

# %%
Markdown(missing_trials_sentence(evidence, "alcohol-randomised"))

# %% [markdown]
# ## Abstinence, or no heavy drinking
#
# What was counted decides what a number says. Where sources give different figures for the same
# people, the row of the table says so.

# %%
Markdown(counts_reread_sentence(evidence))

# %%
counted = evidence.outcomes.query("study_id in @trials.study_id and events.notna()")
counted[["study_id", "arm_id", "outcome", "events", "n", "percent_printed", "conflict"]]

# %% [markdown]
# ## Each trial on every scale
#
# The risk ratio of abstinence and the risk ratio of relapse tell different stories of the same
# table; the odds ratio tells one. The limits here are Wald's, on every scale; below, a single
# trial has its score interval, which holds its level in small trials.

# %%
save_table(km.sensitivity.every_measure(trials, opposite="relapse"), "alcohol-measures")

# %% [markdown]
# ## Randomised: risk ratio of abstinence

# %%
randomised = km.review.answer(evidence, "alcohol-randomised")
save_table(randomised.to_frame(), "alcohol-randomised")
randomised

# %%
km.review.conclusion(randomised)

# %%
headline = km.headline(randomised.effects)
save_table(headline.to_frame(), "alcohol-randomised-headline")
headline

# %% [markdown]
# ## Not randomised: risk ratio of abstinence

# %%
not_randomised = km.review.answer(evidence, "alcohol-not-randomised")
save_table(not_randomised.to_frame(), "alcohol-not-randomised")
not_randomised

# %%
km.review.conclusion(not_randomised)

# %% [markdown]
# ### Reports of the same people
#
# Two reports of one programme give the same control group, very probably (an inference from the
# counts); only the ketamine group grew. They stand side by side and are never counted together.

# %%
save_table(overlapping_reports(evidence), "alcohol-overlapping")

# %% [markdown]
# ## Both, side by side and not pooled
#
# Asked to pool them, the package sets the study that was not randomised aside and says so.

# %%
both = km.pool(km.risk_ratio(trials, interval="koopman"))
save_table(both.to_frame(), "alcohol-forest")
axes = km.plot.forest(both)
save_figure(axes, "alcohol-forest")

# %%
both

# %% [markdown]
# ## Randomised, on the odds scale
#
# An odds ratio of relapse, turned round, is an odds ratio of abstinence and can stand beside counts
# of the same time window. Where trials are too few for a random-effects headline each is shown.

# %%
odds = km.review.answer(evidence, "alcohol-odds")
save_table(odds.to_frame(), "alcohol-odds")
odds

# %%
axes = km.plot.forest(odds)
save_figure(axes, "alcohol-odds")

# %%
km.review.conclusion(odds)

# %% [markdown]
# ### What may be headlined
#
# What the plan headlines for this number of trials, what is shown beside it, and what is refused.

# %%
headline = km.headline(odds.effects)
save_table(headline.to_frame(), "alcohol-odds-headline")
headline

# %% [markdown]
# ### The studies with counts, taken together after all
#
# They differ in design and in the time of follow-up, and no model of heterogeneity mends that.
# Asked for by name, to show how far defensible methods lie apart.

# %%
stress = km.headline(trials, opposite="relapse", mixed=True)
save_table(stress.to_frame(), "alcohol-stress-case")
stress

# %% [markdown]
# ### Left out in turn, and other estimators
#
# Both need two trials in the window, and are refused until there are.

# %% tags=["raises-exception"]
km.leave_one_out(odds)

# %% tags=["raises-exception"]
km.estimator_table(odds.effects)

# %% [markdown]
# ## Zero-cell rules
#
# A table without a zero cell changes only under the rule that corrects every table.

# %%
rules = km.sensitivity.zero_rules(trials)
save_table(rules.to_frame(), "alcohol-zero-rules")
rules

# %% [markdown]
# ## Days abstinent
#
# Grabski 2022: difference in the percentage of days abstinent over six months, in percentage
# points.

# %%
days = km.review.answer(evidence, "alcohol-days")
save_table(days.to_frame(), "alcohol-days")
axes = km.plot.forest(days)
save_figure(axes, "alcohol-days")

# %%
km.review.conclusion(days)

# %% [markdown]
# ## Does the conclusion hold under other choices?
#
# Randomised evidence alone; 08-sensitivity has the rest.

# %%
save_table(
    km.sensitivity.sensitivity_table(
        evidence.trials(substance="alcohol", randomised=True), opposite="relapse"
    ),
    "alcohol-sensitivity",
)

# %% [markdown]
# ## What is not in here

# %%
asked = ["krupitsky1992", "krupitsky1997", "dakwar2020", "grabski2022", "yoon2025"]
evidence.pending.query("study_id in @asked")

# %% [markdown]
# # Alcohol
#
# Ketamine with psychotherapy against a control, abstinence from alcohol. One controlled comparison was not
# randomised (or nowhere says that it was); it is never put into one diamond with the randomised trials.

# %%
import kapmeta as km
from kapmeta.reproduce import save_figure, save_table

evidence = km.load_evidence()
trials = evidence.trials(substance="alcohol")
trials[
    ["label", "randomised", "window", "treatment", "control", "events_t", "n_t", "events_c", "n_c", "evidence_level"]
]

# %% [markdown]
# ## Each trial on every scale
#
# The risk ratio of abstinence and the risk ratio of relapse tell different stories of the same table; the odds
# ratio tells one.

# %%
save_table(km.every_measure(trials, opposite="relapse"), "alcohol-measures")

# %% [markdown]
# ## Randomised: risk ratio of abstinence

# %%
randomised = km.registered(evidence, "alcohol-randomised")
save_table(randomised.to_frame(), "alcohol-randomised")
randomised

# %%
km.conclusion(randomised)

# %%
headline = km.headline(randomised.effects)
save_table(headline.to_frame(), "alcohol-randomised-headline")
print(headline.summary())

# %% [markdown]
# ## Not randomised: risk ratio of abstinence

# %%
not_randomised = km.registered(evidence, "alcohol-not-randomised")
save_table(not_randomised.to_frame(), "alcohol-not-randomised")
not_randomised

# %%
km.conclusion(not_randomised)

# %% [markdown]
# ## Both, side by side and not pooled
#
# Asked to pool them, the package sets the study that was not randomised aside and says so.

# %%
both = km.pool(km.risk_ratio(trials))
save_table(both.to_frame(), "alcohol-forest")
axes = km.plot.forest(both)
save_figure(axes, "alcohol-forest")

# %%
print(both.summary())

# %% [markdown]
# ## Randomised, on the odds scale
#
# Grabski 2022 printed no abstinence counts, only an odds ratio of relapse. Turned round it is an odds ratio of
# abstinence and
# can stand beside the counts. Two trials are too few for a random-effects headline: both are shown, and the common
# effect is named for what it assumes.

# %%
odds = km.registered(evidence, "alcohol-odds")
save_table(odds.to_frame(), "alcohol-odds")
odds

# %%
common = km.pool(odds.effects, model="common")
save_table(common.to_frame(), "alcohol-odds-common")
print(common.summary())

# %%
axes = km.plot.forest([odds, common])
save_figure(axes, "alcohol-odds")

# %%
km.conclusion(odds)

# %% [markdown]
# ### What may be headlined
#
# From two trials a frequentist random-effects interval is of no use; the plan headlines the Bayesian one and shows
# what it hangs on.

# %%
headline = km.headline(odds.effects)
save_table(headline.to_frame(), "alcohol-odds-headline")
print(headline.summary())

# %% [markdown]
# ### The two studies with counts, taken together after all
#
# One was not randomised and they were looked at a year and three weeks after treatment; no model of heterogeneity
# mends that. Asked for by name, to show how far defensible methods lie apart.

# %%
stress = km.headline(trials, opposite="relapse", mixed=True)
save_table(stress.to_frame(), "alcohol-stress-case")
print(stress.summary())

# %% [markdown]
# ### Left out in turn

# %%
left_out = km.leave_one_out(odds)
save_table(left_out.to_frame(), "alcohol-odds-leave-one-out")

# %% [markdown]
# ### The estimator line
#
# The same two trials under other estimators of the between-study variance and other intervals. How far these rows lie
# apart is the reason why two trials get no headline.

# %%
line = km.estimator_table(odds.effects)
save_table(line.to_frame(), "alcohol-odds-estimators")

# %% [markdown]
# ## Zero-cell rules
#
# No table here has a zero cell, so only the rule that corrects every table changes anything.

# %%
save_table(km.zero_rules(trials).to_frame(), "alcohol-zero-rules")

# %% [markdown]
# ## Days abstinent
#
# Grabski 2022: difference in the percentage of days abstinent over six months, in percentage points.

# %%
days = km.registered(evidence, "alcohol-days")
save_table(days.to_frame(), "alcohol-days")
axes = km.plot.forest(days)
save_figure(axes, "alcohol-days")

# %%
km.conclusion(days)

# %% [markdown]
# ## Does the conclusion hold under other choices?
#
# The randomised trial alone; 08-sensitivity has the rest.

# %%
save_table(km.sensitivity_table(evidence.trials(substance="alcohol", randomised=True)), "alcohol-sensitivity")

# %% [markdown]
# ## What is not in here

# %%
evidence.pending.query("study_id in ['krupitsky1997', 'dakwar2020', 'grabski2022', 'yoon2025']")

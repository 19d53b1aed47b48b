# %% [markdown]
# # Sensitivity: what the conclusions depend on
#
# In this field drop-outs are counted as relapse, times of follow-up differ, and many numbers come
# from secondary reports. Here every choice is changed in turn, then all at once.

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown

import kapmeta as km
from kapmeta.review.evidence.overlaps import known_outcomes
from kapmeta.review.findings import could_change
from kapmeta.review.reproduce import save_figure, save_table

pd.set_option("display.max_colwidth", None)
evidence = km.load_evidence()

# %% [markdown]
# ## One table a substance
#
# The risk ratio under every other choice, and whether the conclusion of the primary analysis holds.

# %%
alcohol = evidence.trials(substance="alcohol")
save_table(
    km.sensitivity.sensitivity_table(alcohol, mixed=True, opposite="relapse"), "sensitivity-alcohol"
)

# %%
cocaine = evidence.trials(substance="cocaine")
save_table(
    km.sensitivity.sensitivity_table(cocaine, time="earliest", opposite="relapse"),
    "sensitivity-cocaine",
)

# %%
sessions = evidence.trials(substance="opioids", contrast="sessions")
save_table(
    km.sensitivity.sensitivity_table(sessions, totals="observed", opposite="relapse"),
    "sensitivity-opioids-sessions",
)

# %% [markdown]
# ## The direction of the event
#
# The alcohol studies with counts, taken together by name since not all were randomised. Whether
# they look alike may depend on which event is counted, abstinence or relapse: see `q_p_value`. The
# tables are the same.

# %%
measures = save_table(
    km.sensitivity.pooled_measures(alcohol, mixed=True, opposite="relapse"), "sensitivity-direction"
)
measures.drop(columns="flag")

# %%
Markdown("; ".join(measures["flag"].unique()))

# %% [markdown]
# ## Krupitsky 2007: patients whose arm is not known
#
# Some of those randomised are outside the percentages (`missing` of `evidence.trials()`), from
# which arm is not known. Every split of them over the two arms, under assumptions about what became
# of them.

# %%
missing = km.missing_outcomes(sessions, totals="observed")
save_table(missing.to_frame(), "sensitivity-missing")
Markdown(missing.summary())

# %% [markdown]
# Suppose that three of them were in each arm, as nothing forbids. Each cell is one fate of them:
# how many had remained abstinent under three sessions, and how many under one.

# %%
tipping = km.tipping_point(sessions.assign(missing_t=3, missing_c=3), totals="observed")
save_table(tipping.to_frame(), "sensitivity-tipping")
axes = km.plot.tipping(tipping)
save_figure(axes, "sensitivity-tipping")
tipping

# %% [markdown]
# ## Krupitsky 1997: outcomes that nobody knows
#
# Of the people in its totals some neither relapsed nor were abstinent as far as was known, and
# count as not abstinent. Here they are taken out and every fate of them is tried.

# %%
known = known_outcomes(evidence.trials(comparison_id="krupitsky1997"))
unknown = km.missing_outcomes(known, totals="observed")
save_table(unknown.to_frame(), "sensitivity-missing-1997")
Markdown(unknown.summary())

# %% [markdown]
# ## What trials that have not been read could change
#
# Some trials are known to have measured abstinence and are in no number; 11-small-study lists them.
# Each is added here with everything it could have found, the risk among its controls being that of
# the trial it joins. Where the arms are not known they are taken to be equal. How likely each
# finding is does not enter.

# %%
alcohol_unread = could_change(evidence, "yoon2025", "alcohol-randomised")
save_table(alcohol_unread.to_frame(), "sensitivity-unread-alcohol")
axes = km.plot.unread_trial(alcohol_unread)
save_figure(axes, "sensitivity-unread-alcohol")
alcohol_unread

# %%
cocaine_unread = could_change(evidence, "columbia_cocaine_u01", "cocaine-end-of-trial")
save_table(cocaine_unread.to_frame(), "sensitivity-unread-cocaine")
axes = km.plot.unread_trial(cocaine_unread)
save_figure(axes, "sensitivity-unread-cocaine")
cocaine_unread

# %% [markdown]
# ## Fragility
#
# How many patients would have to have fared otherwise for the result to lose its significance.

# %%
km.fragility_index(sessions)

# %%
km.fragility_index(evidence.trials(substance="cocaine", window="end of trial"))

# %% [markdown]
# ## Counts read from percentages
#
# Every count the printed percentages allow.

# %%
km.sensitivity.rounded_counts(evidence.trials(substance="cocaine", window="end of trial"))

# %% [markdown]
# ## All choices at once
#
# The first five BCG trials show what the tool does, since it takes a pool worth multiplying out:
# four ways of pooling effects, Mantel-Haenszel, and two binomial likelihood models that need no
# continuity correction.

# %%
five = km.load_example("bcg").head(5)
pooling = ["REML", "PM", "DL", "common", "mantel-haenszel", "binomial-normal", "binomial-common"]
rng = np.random.default_rng(2026)
universes = km.multiverse(
    five, choices={"measure": ["RR"], "pooling": pooling}, permutations=200, rng=rng, progress=False
)
save_table(universes.to_frame().head(40), "sensitivity-multiverse-first-rows")
Markdown(universes.summary())

# %%
axes = km.plot.multiverse(universes)
save_figure(axes, "sensitivity-multiverse")

# %%
bcg = km.pool(km.risk_ratio(km.load_example("bcg")))
axes = km.plot.sweep(km.leave_one_out(bcg))
save_figure(axes, "sensitivity-leave-one-out")

# %% [markdown]
# ## What single studies do to a result
#
# Each of the BCG trials left out in turn: residuals, shifts of the estimate, precision,
# heterogeneity, weight. Diamonds would lie beyond a customary cut-off.

# %%
moved = km.influence(bcg)
save_table(moved.to_frame(), "sensitivity-influence")
axes = km.plot.influence(moved)
save_figure(axes, "sensitivity-influence")

# %%
axes = km.plot.baujat(km.baujat(bcg))
save_figure(axes, "sensitivity-baujat")

# %%
axes = km.plot.gosh(km.all_subsets(km.pool(km.risk_ratio(km.load_example("bcg")), model="common")))
save_figure(axes, "sensitivity-all-subsets")

# %% [markdown]
# ## Which interval can be trusted for trials of this size?
#
# Simulated at the arm sizes and control risks of the alcohol studies: how often each interval holds
# the true mean, and how often it would find an effect.

# %%
card = km.sensitivity.calibration(alcohol, draws=2000, rng=np.random.default_rng(2026), mixed=True)
save_table(card.to_frame(), "sensitivity-calibration")
Markdown(card.summary())

# %% [markdown]
# # Few studies: what each method says
#
# With one to three small trials the answer depends on the method. Here every defensible one is asked the same
# question, and the methods that add 0.5 to empty cells are set beside those that need not.

# %%
import kapmeta as km
from kapmeta.reproduce import save_figure, save_table

evidence = km.load_evidence()

# %% [markdown]
# ## Alcohol, randomised, odds of abstinence: two trials
#
# The posterior of the common effect under a half-normal prior on the between-study standard deviation, and how it
# moves with the scale of that prior.

# %%
odds = km.registered_effects(evidence, "alcohol-odds")
posterior = km.pool_bayes(odds, tau_prior=km.half_normal(0.5))
save_table(posterior.to_frame(), "few-alcohol-posterior")
print(posterior.summary())

# %%
axes = km.plot.posterior(posterior)
save_figure(axes, "few-alcohol-posterior")

# %%
axes = km.plot.prior_scale(posterior)
save_figure(axes, "few-alcohol-prior-scale")

# %% [markdown]
# ## The lesson of the zero cell: cocaine at six months
#
# 12 of 27 against none of 28. Adding 0.5 to every cell makes a number, and throws most of the evidence away; the
# binomial likelihood needs no correction.

# %%
cocaine = evidence.trials(substance="cocaine", window="6 months")
corrected = km.pool_bayes(km.risk_ratio(cocaine), mu_prior=(0.0, 2.82))
exact = km.pool_bayes(cocaine, mu_prior=(0.0, 2.82))
print(corrected.summary())
print()
print(exact.summary())

# %%
save_table(km.headline(cocaine, opposite="relapse").to_frame(), "few-cocaine-6-months")

# %% [markdown]
# ## Exact models on the counts
#
# The two randomised trials of ketamine against control with counts (one of alcohol, one of cocaine), pooled without any
# correction: an illustration, not an answer.

# %%
trials = evidence.trials(contrast="ketamine_v_control", randomised=True, role=["main", "provisional"])
print(km.pool_exact(trials, model="conditional", measure="OR").summary())

# %%
print(km.pool_exact(trials, model="binomial-normal", measure="RR").summary())

# %%
print(km.pool_exact(trials, model="beta-binomial", measure="OR").summary())

# %%
print(km.mantel_haenszel(trials).summary())

# %% [markdown]
# ## Opioids: one trial of three sessions against one

# %%
sessions = evidence.trials(substance="opioids", contrast="sessions")
save_table(km.headline(sessions, opposite="relapse").to_frame(), "few-opioids-sessions")

# %%
print(km.pool_bayes(sessions, mu_prior=(0.0, 2.82)).summary())

# %% [markdown]
# ## Cocaine: the end of the trial

# %%
end = evidence.trials(substance="cocaine", window="end of trial")
save_table(km.headline(end, opposite="relapse").to_frame(), "few-cocaine-end-of-trial")

# %% [markdown]
# ## Borrowing between substances
#
# Cocaine alone, and with what the other randomised trial says added. The gap between the two is the message.

# %%
together = km.pool_bayes(km.risk_ratio(trials))
save_table(together.shrunken(), "few-shrunken")

# %%
axes = km.plot.forest(together, shrunken=together.shrunken())
save_figure(axes, "few-shrunken")

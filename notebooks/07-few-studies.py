# %% [markdown]
# # Few studies: what each method says
#
# With a handful of small trials the answer depends on the method. Here every defensible one is
# asked the same question, and the methods that correct empty cells are set beside those that need
# not.

# %%
import kapmeta as km
from kapmeta.review.reproduce import save_figure, save_table

evidence = km.load_evidence()

# %% [markdown]
# ## The randomised trials with counts
#
# The randomised trials of ketamine against control that give counts, whatever the substance: an
# illustration of methods, not an answer. Below are the posterior of the common effect under a
# half-normal prior on the between-study standard deviation, and how it moves with the scale of that
# prior.

# %%
trials = evidence.trials(
    contrast="ketamine_v_control", randomised=True, role=["main", "provisional"]
)
posterior = km.pool_bayes(km.odds_ratio(trials), tau_prior=km.pooling.half_normal(0.5))
save_table(posterior.to_frame(), "few-posterior")
posterior

# %%
axes = km.plot.posterior(posterior)
save_figure(axes, "few-posterior")

# %%
axes = km.plot.prior_scale(posterior)
save_figure(axes, "few-prior-scale")

# %% [markdown]
# ## The lesson of the zero cell: cocaine at six months
#
# Nobody in the control arm was abstinent. Correcting the cells makes a number, and throws most of
# the evidence away; the binomial likelihood needs no correction.

# %%
cocaine = evidence.trials(substance="cocaine", window="6 months")
corrected = km.pool_bayes(km.risk_ratio(cocaine), mu_prior=(0.0, 2.82))
corrected

# %%
km.pool_bayes(cocaine, mu_prior=(0.0, 2.82))

# %%
save_table(km.headline(cocaine, opposite="relapse").to_frame(), "few-cocaine-6-months")

# %% [markdown]
# ## Exact models on the counts
#
# The same trials pooled without any correction.

# %%
km.pool_exact(trials, model="conditional", measure="OR")

# %%
km.pool_exact(trials, model="binomial-normal", measure="RR")

# %%
km.pool_exact(trials, model="beta-binomial", measure="OR")

# %%
km.mantel_haenszel(trials)

# %% [markdown]
# ## Opioids: three sessions against one

# %%
sessions = evidence.trials(substance="opioids", contrast="sessions")
save_table(km.headline(sessions, opposite="relapse").to_frame(), "few-opioids-sessions")

# %%
km.pool_bayes(sessions, mu_prior=(0.0, 2.82))

# %% [markdown]
# ## Cocaine: the end of the trial

# %%
end = evidence.trials(substance="cocaine", window="end of trial")
save_table(km.headline(end, opposite="relapse").to_frame(), "few-cocaine-end-of-trial")

# %% [markdown]
# ## Borrowing between substances
#
# Each trial alone, and drawn towards what the others say. The gap between the two is the message.

# %%
together = km.pool_bayes(km.risk_ratio(trials))
save_table(together.shrunken(), "few-shrunken")

# %%
axes = km.plot.forest(together, shrunken=together.shrunken())
save_figure(axes, "few-shrunken")

# %% [markdown]
# # Small-study effects
#
# Do small trials show larger effects, and would that be a sign that others stayed unpublished? The tests need ten
# trials or
# more. They are shown here on two published sets that have enough, and the last section says why they cannot be used
# on the ketamine trials.

# %%
import kapmeta as km
from kapmeta.reproduce import save_figure, save_table

# %% [markdown]
# ## Lung cancer and passive smoking: 37 studies

# %%
smoke = km.reported(km.load_example("passive_smoking"))
main = km.pool(smoke)
print(main.summary())

# %%
axes = km.plot.funnel(main)
save_figure(axes, "small-study-funnel")

# %%
print(km.asymmetry_test(smoke, method="egger").summary())

# %%
filled = km.trim_and_fill(smoke)
save_table(filled.to_frame(), "small-study-trim-and-fill")
print(filled.summary())

# %%
print(km.pet_peese(smoke).summary())

# %%
print(km.limit_meta_analysis(smoke).summary())

# %%
print(km.selection_model(smoke, weight="step", steps=[0.025, 0.5], favoured="positive").summary())

# %% [markdown]
# ## BCG: bounds instead of tests
#
# How strongly would studies have to be selected for the result to go away? This question has an answer for any
# number of studies.

# %%
bcg = km.risk_ratio(km.load_example("bcg"))
print(km.publication_bias_sensitivity(bcg).summary())

# %%
print(km.fail_safe_n(bcg).summary())

# %% [markdown]
# ## The ketamine trials
#
# Refused: with one or two trials a question no test of asymmetry has any power, and a funnel has no shape.

# %% tags=["raises-exception"]
evidence = km.load_evidence()
km.asymmetry_test(km.registered_effects(evidence, "alcohol-odds"))

# %% [markdown]
# What can be said is what confounding it would take to explain away the study that was not randomised.

# %%
print(km.e_value(km.registered(evidence, "alcohol-not-randomised")).summary())

# %% [markdown]
# And how many registered trials have no result yet: the denominator that no statistic can replace.

# %%
save_table(km.substances_table(evidence), "small-study-registered")

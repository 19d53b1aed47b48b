# %% [markdown]
# # Small-study effects
#
# Do small trials show larger effects, and would that be a sign that others stayed unpublished? The
# tests and adjustments need ten trials or more. They are shown here on two published sets that have
# enough. Then come bounds that hold for any number of trials, and a section on why the tests cannot
# be used on the ketamine trials.

# %%
from IPython.display import Markdown

import kapmeta as km
from kapmeta.review.evidence.missing import missing_trials
from kapmeta.review.reproduce import save_figure, save_table

# %% [markdown]
# ## Lung cancer and passive smoking

# %%
smoke = km.reported(km.load_example("passive_smoking"))
main = km.pool(smoke)
Markdown(main.summary())

# %% [markdown]
# Is the funnel asymmetric? A regression of the effect on its standard error and a rank correlation
# ask the same question in two ways and need not agree. Each says which definition it follows and
# what it could have found.

# %%
egger = km.asymmetry_test(smoke, method="egger")
egger

# %%
km.asymmetry_test(smoke, method="begg")

# %% [markdown]
# What may the asymmetry be worth? Five answers that rest on five different assumptions. Results
# that show harm from smoke are taken to be published more readily (`favoured="positive"`).

# %%
filled = km.trim_and_fill(smoke)
save_table(filled.to_frame(), "small-study-trim-and-fill")
filled

# %%
line = km.pet_peese(smoke, favoured="positive")
line

# %%
limit = km.limit_meta_analysis(smoke)
limit

# %%
steps = km.selection_model(smoke, weight="step", steps=[0.025, 0.5], favoured="positive")
steps

# %% [markdown]
# The fifth, by Copas and Shi, gives no point but a curve: nothing in the data says how strong the
# selection was, so the effect is shown for ever stronger selection.

# %%
copas = km.small_study.copas(smoke, favoured="positive")
save_table(copas.to_frame(), "small-study-copas")
copas

# %%
axes = km.plot.funnel(main, test=egger, adjusted=[filled, line, limit, steps])
save_figure(axes, "small-study-funnel")

# %% [markdown]
# All of them shrink the odds ratio, some of them almost to 1. None of them can show whether
# unpublished studies are the reason: small studies may also differ in whom they asked and how. The
# interval of Henmi and Copas needs no such assumption; it trusts the large studies and widens for
# heterogeneity. And the test of excess significance asks another question: are there more
# significant studies than their power allows?

# %%
Markdown(km.pool(smoke, ci="henmi-copas", prediction="none").summary())

# %%
km.small_study.excess_significance(smoke)

# %% [markdown]
# A paper that reports such a test can take its paragraph from the result.

# %%
Markdown(egger.methods_text())

# %% [markdown]
# ## BCG: tests made for counts
#
# For an odds ratio the standard error depends on the ratio itself, and Egger's test then finds
# asymmetry that is not there. Tests that work on the counts avoid that.

# %%
bcg = km.odds_ratio(km.load_example("bcg"))
km.asymmetry_test(bcg, method="harbord")

# %%
km.asymmetry_test(bcg, method="peters")

# %%
km.asymmetry_test(bcg, method="arcsine-thompson")

# %% [markdown]
# ## Bounds instead of tests
#
# How strongly would studies have to be selected for the result to go away? That question has an
# answer for any number of trials, because nothing about the selection is estimated: significant
# favourable results are assumed to be published so many times as readily as others.

# %%
ratio = km.risk_ratio(km.load_example("bcg"))
bounds = km.publication_bias_sensitivity(ratio)
save_table(bounds.to_frame(), "small-study-selection-ratio")
bounds

# %% [markdown]
# Or: how many trials without effect, of the size of the median trial, would have to lie in drawers?
# A large number proves nothing, since trials in drawers need be neither null nor of that size.

# %%
km.small_study.fail_safe_n(ratio)

# %% [markdown]
# ## Why it cannot be done for the ketamine trials
#
# A test of asymmetry asks for the slope of a line through the trials: through two points a line
# always fits, and nothing is left to judge it by. From two trials it is refused, forced or not.

# %% tags=["raises-exception"]
evidence = km.load_evidence()
alcohol = km.review.question_effects(evidence, "alcohol-odds")
km.asymmetry_test(alcohol, force=True)

# %% [markdown]
# With a few more trials the arithmetic would go through and still say next to nothing. Five of the
# thirteen BCG trials show it: forced, the test says how seldom it would have found a bias as large
# as one standard error in every trial. A p-value above 0.05 from such a test is no sign that
# nothing is missing.

# %%
km.asymmetry_test(ratio.select([0, 1, 2, 3, 4]), force=True)

# %% [markdown]
# The bounds are valid here too. Selection for significance can only have made a result that is
# significant: where the interval holds no effect already, there is nothing for it to explain.

# %%
km.publication_bias_sensitivity(alcohol)

# %%
km.small_study.fail_safe_n(alcohol)

# %% [markdown]
# The alcohol comparison that was not randomised has another weakness, confounding, and for that too
# there is a bound: how strongly something else would have to be tied both to getting ketamine and
# to abstinence.

# %%
km.small_study.e_value(km.review.answer(evidence, "alcohol-not-randomised"))

# %% [markdown]
# What no statistic can replace is a list of the trials known to exist that are in no number: the
# drawer itself, with what is known of each result, and how many studies of each substance have none
# yet.

# %%
save_table(missing_trials(evidence), "small-study-missing")

# %%
save_table(km.review.substances_table(evidence), "small-study-waiting")

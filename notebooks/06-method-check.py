# %% [markdown]
# # Method check
#
# Two published sets of trials, which have nothing to do with ketamine, against numbers made
# elsewhere: the values that the R package metafor gives for the BCG trials, and statsmodels as an
# independent witness for both.

# %%
import pandas as pd

import kapmeta as km
from kapmeta.review.reproduce import save_figure, save_readme_table, save_table, witness

pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## The BCG vaccine trials
#
# Every row of the table is computed here and compared with the value of metafor 5.1-12 (settings
# tightened until the digits stood still).

# %%
bcg = km.load_example("bcg")
main = km.pool(km.risk_ratio(bcg))
main

# %%
save_table(witness.against_metafor(bcg), "method-check-bcg")

# %%
axes = km.plot.forest(main)
save_figure(axes, "method-check-bcg")

# %% [markdown]
# ## Counselling to stop smoking
#
# Individual counselling against no contact. statsmodels has the Mantel-Haenszel odds ratio, its
# interval, the test of homogeneity of the odds ratios, and the DerSimonian-Laird and Paule-Mandel
# variances.

# %%
smoking = km.load_example("smoking")
counselling = km.pool(km.odds_ratio(smoking))
axes = km.plot.forest(counselling)
save_figure(axes, "method-check-smoking")

# %%
save_table(witness.against_statsmodels(smoking), "method-check-smoking")

# %%
save_table(witness.against_statsmodels(bcg), "method-check-bcg-statsmodels")

# %% [markdown]
# ## Where the witness is wrong
#
# statsmodels is asked for the same quantities where its answers are known to fail: a continuity
# correction that is added to every study when only one needs it, and a between-study variance below
# zero. The first column of numbers is its answer.

# %%
save_table(witness.known_defects(), "method-check-defects")

# %% [markdown]
# ## Where R's packages and this one differ
#
# Every difference found on the reference values, its cause, and its largest size there. The table
# of the README.

# %%
save_readme_table(save_table(witness.divergences(), "method-check-divergences"), "divergences")

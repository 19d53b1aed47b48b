# %% [markdown]
# # Across substances
#
# Are the results of ketamine against control alike in different substances? With so few trials a
# substance the question cannot be answered; what can be shown is how little there is. Randomised
# and non-randomised evidence stay apart.

# %%
import pandas as pd

import kapmeta as km
from kapmeta.review.reproduce import save_figure, save_readme_gallery, save_readme_table, save_table

pd.set_option("display.max_colwidth", None)
evidence = km.load_evidence()

# %% [markdown]
# ## Every declared question
#
# The table of the README.

# %%
save_readme_table(save_table(km.review.evidence_table(evidence), "evidence-now"), "evidence")

# %% [markdown]
# ## Randomised trials of ketamine against control

# %%
randomised = evidence.trials(
    contrast="ketamine_v_control", randomised=True, role=["main", "provisional"]
)
effects = km.risk_ratio(randomised, interval="koopman")
by_substance = km.subgroups(effects, "substance")
save_table(by_substance.to_frame(), "across-subgroups")
by_substance

# %%
axes = km.plot.forest(by_substance.groups)
save_figure(axes, "across-randomised")

# %% [markdown]
# The trials in one pool would answer a question nobody asked (the average over an accidental choice
# of substances). The numbers are here so that a reader can see how little they fix.

# %%
together = km.pool(effects)
save_table(together.to_frame(), "across-randomised-pool")
together

# %%
km.headline(effects)

# %%
line = km.estimator_table(effects)
save_table(line.to_frame(), "across-estimators")
line

# %% [markdown]
# A regression on the time of follow-up needs more trials than it has coefficients, and is refused
# here.

# %% tags=["raises-exception"]
km.meta_regression(effects, ["months"])

# %% [markdown]
# ## Not randomised

# %%
others = evidence.trials(contrast="ketamine_v_control", randomised=False)
apart = km.pool(km.risk_ratio(others, interval="koopman"))
save_table(apart.to_frame(), "across-not-randomised")
axes = km.plot.forest(apart)
save_figure(axes, "across-not-randomised")

# %%
km.review.conclusion(apart)

# %% [markdown]
# ## Substances without a controlled abstinence result

# %%
save_table(km.review.substances_table(evidence), "across-substances")

# %% [markdown]
# ## The gallery of the README

# %%
save_readme_gallery(
    {
        "alcohol-forest": km.pool(
            km.risk_ratio(evidence.trials(substance="alcohol"), interval="koopman")
        ),
        "opioids-sessions": km.review.answer(evidence, "opioids-sessions"),
        "cocaine-end-of-trial": km.review.answer(evidence, "cocaine-end-of-trial"),
        "cocaine-6-months": km.review.answer(evidence, "cocaine-6-months"),
    }
)

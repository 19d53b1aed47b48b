# %% [markdown]
# # Designs: who shares patients with whom
#
# A control arm used twice, two treatments crossed in one trial, one trial seen at two times: in
# each case numbers share patients, and treating them as independent counts these patients twice.
# Shown here on the real trials.

# %%
import pandas as pd

import kapmeta as km
from kapmeta.review.reproduce import save_table

evidence = km.load_evidence()

# %% [markdown]
# ## What the arms permit
#
# Arms are declared once (drug, dose, sessions, psychotherapy); the contrasts they permit follow,
# each with the question it answers and the rows it shares arms with. A package is a contrast in
# which more than one thing differs.

# %%
arms = evidence.declared_arms()
permitted = km.effects.contrasts(
    arms, factors=["drug", "dose", "sessions", "psychotherapy", "co_treatment"]
)
save_table(permitted, "designs-contrasts")

# %% [markdown]
# ## A shared control: Terasaki 2022
#
# Ketamine and naltrexone were both compared with linkage alone. The outcome is early readmission,
# not abstinence, and the counts are reconstructed; the design is what is looked at. Entering both
# rows is refused.

# %%
shared = evidence.against("terasaki2022", "la", event="readmission")
shared[["treatment", "control", "events_t", "n_t", "events_c", "n_c"]]

# %% tags=["raises-exception"]
km.effects.refuse_double_counting(shared)

# %% [markdown]
# Two ways out: one combined arm, or the covariance that the shared control brings (off the
# diagonal).

# %%
both = km.effects.combine_arms(shared)
km.risk_ratio(both)

# %%
effects = km.risk_ratio(shared)
covariance = km.effects.sampling_covariance(effects)
save_table(
    pd.DataFrame(covariance, index=effects.labels, columns=effects.labels), "designs-shared-control"
)

# %%
together = km.moderators.aggregate(effects, covariance=covariance)
together

# %% [markdown]
# ## Two factors crossed: Grabski 2022
#
# Ketamine or saline, therapy or education. The two strata of ketamine (with therapy, with
# education) share nobody; "both against neither" shares patients with each. Of the reported
# differences in days abstinent, the pooled one represents the trial and the others may not join it.

# %%
permitted.query("study == 'grabski2022'")[
    ["treatment_arm", "control_arm", "question", "package", "shares_arms_with"]
]

# %%
days = evidence.effects.query("study_id == 'grabski2022' and measure == 'MD'")
days[["effect_id", "treatment", "control", "estimate", "low", "high", "role"]]

# %% [markdown]
# ## One trial at two times: Dakwar 2019
#
# If abstinence is continuous, those abstinent later are among those abstinent earlier, and the
# covariance of the two results follows from the counts: the later one adds nothing about a constant
# ratio. The two outcomes are not quite the same thing here (urine-verified at the end of the trial,
# by telephone at six months), so this is an illustration.

# %%
cocaine = evidence.trials(substance="cocaine")
curve = km.effects.event_free_curve(cocaine)
save_table(curve.to_frame(), "designs-follow-up")

# %% [markdown]
# The same caveat holds for the two numbers below: they read both outcomes as one continuous
# abstinence.

# %%
km.effects.hazard_ratio(cocaine, method="life-table", event="relapse")

# %%
km.effects.event_free_time(cocaine, horizon=6, event="months abstinent")

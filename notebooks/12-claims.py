# %% [markdown]
# # Claims, certainty and the summary of findings
#
# Readers of clinic pages and magazine articles meet figures such as "66 % against 24 %" or "a 162 % increase". Here
# every quantitative claim of five documents is traced to the trial it is about and, where the tables allow,
# recomputed by the library. A stated rule gives the verdict.

# %%
import kapmeta as km
from kapmeta.bias_judgements import bias_adjusted, check_bias_judgements
from kapmeta.certainty import absolute_effects, imprecision, information_size
from kapmeta.citing import cite
from kapmeta.claims import audit_claims
from kapmeta.findings import certainty_table, headline_effect, summary_of_findings
from kapmeta.report import sensitivity_table, trials_table
from kapmeta.reproduce import save_table, save_text

evidence = km.load_evidence()
audit = audit_claims(evidence)
print(audit.summary())

# %%
save_table(audit.scorecard(), "claims-scorecard")

# %%
claims = save_table(audit.to_frame(), "claims-audit")
claims[["claim_id", "claim", "stated", "recomputed", "sources_say", "verdict", "decided_by"]]

# %% [markdown]
# ## The rule

# %%
print(audit.methods_text())

# %% [markdown]
# Verdicts entered by hand that the rule does not give; there should be none.

# %%
claims[claims["verdict"] != claims["verdict_entered"]][["claim_id", "verdict", "verdict_entered"]]

# %% [markdown]
# ## Certainty
#
# Domains are judged by people, with a reason for each; nothing is judged by software. All judgements here are
# provisional: they rest on abstracts and partial texts.

# %%
save_table(certainty_table(evidence.grade, randomised={"alcohol-not-randomised": False}), "certainty")

# %% [markdown]
# ## Summary of findings

# %%
findings = summary_of_findings(evidence)
save_table(findings.to_frame(), "summary-of-findings")
save_text(findings.to_text(), "summary-of-findings.txt")
findings

# %%
print(findings.summary())

# %% [markdown]
# ## How much information there is
#
# For cocaine at the end of the trial: participants needed to find twice the control risk, and what there is.

# %%
cocaine = km.registered(evidence, "cocaine-end-of-trial")
size = information_size(cocaine, risk_ratio=2)
save_table(size.to_frame(), "cocaine-information-size")
print(size.summary())

# %% [markdown]
# A proposal for imprecision, with 50 per 1,000 as the threshold. It is a proposal with its numbers, not a decision:
# no panel of patients has set a threshold.

# %%
imprecision(absolute_effects(headline_effect(cocaine)), thresholds=[50], information=size)

# %% [markdown]
# ## Risk of bias
#
# The overall judgements that were entered, against what their domains give.

# %%
save_table(check_bias_judgements(evidence), "bias-judgements")

# %% [markdown]
# What the two alcohol comparisons would give together if the one that was not randomised were believed to be biased by
# a factor of 1.3 (log 0.26), with growing uncertainty about that. An assumption, not a result: the two are never
# pooled in the main analysis.

# %%
alcohol = km.risk_ratio(evidence.trials(substance="alcohol"))
curve = bias_adjusted(alcohol, ["Krupitsky 1997"], shift=0.2623642645, model="common")
save_table(curve.to_frame(), "alcohol-bias-adjusted")

# %% [markdown]
# ## The tables of the reader's page

# %%
save_table(trials_table(evidence), "report-trials")

# %%
save_table(sensitivity_table(evidence), "report-sensitivity")

# %% [markdown]
# ## How to cite

# %%
print(cite(cocaine))

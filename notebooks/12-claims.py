# %% [markdown]
# # Claims, certainty and the summary of findings
#
# Readers of clinic pages and magazine articles meet figures such as "66 % against 24 %" or "a 162 %
# increase", and sentences such as "has proven to be effective". Here every claim of the documents
# named below that can be checked is traced to the trial it is about and, where the tables allow,
# recomputed by the library. Claims that ketamine works are held against this review's own answers.
# A stated rule gives the verdict. "Could not be verified" means that nothing that was read settles
# it: the claim may be true. A contradiction of substance is a wrong fact; one of reference is a
# wrong statement of who published what, and where.

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown

import kapmeta as km
from kapmeta.certainty.absolute_risks import absolute_effects
from kapmeta.certainty.imprecisions import imprecision, probability_beyond
from kapmeta.certainty.information_sizes import information_size
from kapmeta.certainty.risk_of_bias import bias_adjusted
from kapmeta.citing import cite
from kapmeta.pooling.headlines import headline_effect, headline_of
from kapmeta.review.claims import audit_claims
from kapmeta.review.evidence.missing import check_reporting_bias
from kapmeta.review.report import in_short, question_analyses, trials_table
from kapmeta.review.reproduce import save_table, save_text
from kapmeta.review.risk_of_bias import check_bias_judgements

pd.set_option("display.max_colwidth", None)
evidence = km.load_evidence()
audit = audit_claims(evidence)
save_table(audit.scorecard(), "claims-scorecard")
audit

# %% [markdown]
# Each claim: its place in the document, what is stated, what the tables give, what the sources that
# were read say, and the verdict.

# %%
claims = save_table(audit.to_frame(), "claims-audit")
shown = ["claim", "quote", "locator", "stated", "recomputed", "sources_say", "verdict"]
claims.set_index("claim_id")[shown]

# %% [markdown]
# ## The rule

# %%
Markdown(audit.methods_text())

# %% [markdown]
# Verdicts entered by hand that the rule does not give; there should be none.

# %%
claims[claims["verdict"] != claims["verdict_entered"]][["claim_id", "verdict", "verdict_entered"]]

# %% [markdown]
# ## Certainty
#
# How sure may one be of each answer? GRADE starts high for randomised and low for other evidence
# and takes levels off, domain by domain. People judge, each time with a reason; the software only
# adds up. All judgements here are provisional: they rest on abstracts and partial texts, and no
# review team has agreed on them.

# %%
save_table(km.review.question_certainty(evidence), "certainty")

# %% [markdown]
# Publication bias needs no test where a trial that measured the outcome is known to be missing.
# Here is what the table of missing evidence implies, beside what was entered.

# %%
save_table(check_reporting_bias(evidence), "certainty-missing-evidence")

# %% [markdown]
# ## Summary of findings
#
# The table that makers of guidelines use: each effect in numbers of people per 1,000, at the
# control risk of the trial. "Limit cut" marks a limit that would be more than 1,000 of 1,000: there
# the ratio cannot hold. No number needed is given where people were not randomised, and no effect
# where the counts are not confirmed. Few and small trials stand behind a row: read the interval and
# the certainty before the number.

# %%
findings = km.review.summary_of_findings(evidence)
save_table(findings.to_frame(), "summary-of-findings")
save_text(findings.to_text(), "summary-of-findings.txt")
findings

# %%
Markdown("\n\n".join(findings.summary().splitlines()))

# %% [markdown]
# ## How much information there is
#
# For cocaine at the end of the trial: the people one trial would need to find twice the control
# risk, and those there are. The boundary is what z would have to pass this early, if the looks at
# growing evidence are not to find by chance what is not there.

# %%
cocaine = km.review.answer(evidence, "cocaine-end-of-trial")
size = information_size(cocaine, risk_ratio=2)
save_table(size.to_frame(), "cocaine-information-size")
size

# %% [markdown]
# A proposal for imprecision, at the difference per 1,000 people that is taken to matter
# (`thresholds`). It is a proposal with its numbers, not a decision: no panel of patients has set
# that threshold.

# %%
absolute = absolute_effects(headline_effect(cocaine))
(proposal,) = imprecision(absolute, thresholds=[50], information=size)
Markdown(f"{proposal.judgement}: {proposal.reason}")

# %% [markdown]
# The probability that the difference is larger than that, under a wide prior for the effect and the
# control risk of the trial held fixed. It speaks of chance alone: bias, and numbers read
# second-hand, are not in it.

# %%
posterior = headline_of(cocaine)["Bayesian from the counts, under a wide prior"]
print(f"{probability_beyond(posterior, 0.05, baseline=absolute.table['control'].item()):.2f}")

# %% [markdown]
# ## Risk of bias
#
# The overall judgements that were entered, against what their domains give. The answers to the
# signalling questions of RoB 2 were never written down, so the judgements cannot be derived from
# them; `km.certainty.rob2_judgements` does that once they are, and `km.certainty.robins_i_overall`
# for the study that was not randomised.

# %%
save_table(check_bias_judgements(evidence), "bias-judgements")

# %% [markdown]
# What the alcohol comparisons would give together if the one that was not randomised were believed
# to be biased by the factors tried, with growing uncertainty about them. An assumption, not a
# result: they are never pooled in the main analysis.

# %%
alcohol = km.risk_ratio(evidence.trials(substance="alcohol"))
curve = bias_adjusted(alcohol, ["Krupitsky 1997"], shift=np.log([1.3, 2]), model="common")
save_table(curve.to_frame(), "alcohol-bias-adjusted")

# %% [markdown]
# ## The tables of the reader's page

# %%
save_table(trials_table(evidence), "report-trials")

# %%
save_table(question_analyses(evidence), "report-sensitivity")

# %% [markdown]
# ## The answer in short
#
# The first words of the page and of the README, made from the results.

# %%
answer = " ".join(in_short(evidence))
save_text(answer, "readme-short.md")
Markdown(answer)

# %% [markdown]
# ## How to cite

# %%
Markdown("\n\n".join(cite(findings).splitlines()))

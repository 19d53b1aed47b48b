# %% [markdown]
# # Which method for how many trials: a simulation
#
# With two to ten small trials the methods of meta-analysis give intervals that differ by a factor
# of five. Which of them keep what they promise is not a matter of taste: it can be tried out. This
# notebook presents the simulation behind the choice of the headline, in the order that Morris,
# White and Crowther recommend (aims, data-generating mechanisms, estimands, methods, performance).
#
# The simulation takes hours and is not run here: `python -m benchmarks.headline_policy` says what
# it costs, runs it, and can be resumed. A test runs a small part of it again.

# %%
import kapmeta as km
from kapmeta.review.reproduce import save_figure, save_table, study_file

study = km.sensitivity.read_simulation(study_file("policy-performance"))

# %% [markdown]
# ## Aims
#
# To find, for each number of trials and for risk and odds ratios, the narrowest interval that
# contains the mean effect as often as it says, in every scenario that was declared.
#
# ## Data-generating mechanisms
#
# Trial effects are normal on the log scale; events are binomial. The sizes of the arms follow four
# patterns: twenty in each arm, twice as many treated as controls, small and large trials mixed, and
# the sizes of the trials of this review.

# %%
print(study.methods_text())

# %% [markdown]
# ## Estimand
#
# The mean of the distribution of trial effects, on the log scale.
#
# ## Methods
#
# Every method that could be a headline: posteriors with half-normal and empirical priors of the
# between-study standard deviation, from corrected effects and from the counts; the usual
# estimators with Wald, Hartung-Knapp and likelihood-based intervals; Mantel-Haenszel; the
# beta-binomial and binomial-normal models. Zero cells are part of a method. Methods that take
# longer had fewer draws; where a method was not tried in every scenario of a number of trials, it
# is not compared there.
#
# ## Performance
#
# The smallest coverage over the scenarios, with its Monte-Carlo error, and the median width.

# %%
worst = study.worst()
save_table(worst, "policy-worst")
worst[["measure", "k", "method", "coverage", "coverage_se", "width", "refused", "draws"]]

# %%
compared = [
    "half-normal 0.5",
    "half-normal 0.75",
    "half-normal 1",
    "REML, hksj-hybrid",
    "REML, hksj-variance",
]
axes = km.plot.coverage_by_width(study, measure="RR", methods=compared)
save_figure(axes, "policy-width-risk-ratio")

# %%
axes = km.plot.coverage_by_width(study, measure="OR", methods=compared)
save_figure(axes, "policy-width-odds-ratio")

# %% [markdown]
# ## The rule
#
# The headline of each number of trials is the narrowest method that covers enough in every
# declared scenario. The smallest of many simulated coverages lies below the true one by chance
# alone, the more so the fewer the draws, so the rule errs on the side of caution.

# %%
policies = ["policy before the study"]
choices = km.sensitivity.choose_headlines(study, leave_out=policies)
save_table(choices.to_frame(), "policy-choice")
print(choices.methods_text())
print(choices.summary())

# %%
choices

# %% [markdown]
# ## The choice beside the policy before it
#
# Before the study two trials were headlined by a posterior with a half-normal prior, and more
# trials by REML with the hybrid Hartung-Knapp interval. The choice is not yet the headline of the
# package: that waits for the draws that its rule asks for.

# %%
before = {
    "2": "half-normal 0.5",
    "3": "REML, hksj-hybrid",
    "4": "REML, hksj-hybrid",
    "5": "REML, hksj-hybrid",
    "6-9": "REML, hksj-hybrid",
    "10+": "REML, hksj-hybrid",
}
both = km.sensitivity.compare_policies(study, {"by the rule": choices, "before the study": before})
axes = km.plot.coverage_by_tau(both, measure="RR")
save_figure(axes, "policy-tau-risk-ratio")

# %%
axes = km.plot.coverage_by_tau(both, measure="OR")
save_figure(axes, "policy-tau-odds-ratio")

# %% [markdown]
# ## Where guidance differs
#
# Cochrane has adopted REML with the Hartung-Knapp interval for its reviews. Bender and colleagues
# hold that heterogeneity cannot be estimated reliably from two to four trials and that this
# interval then has very low power; Röver and colleagues recommend its variance-corrected
# form where trials differ in precision; Felsch and colleagues find no method good with two
# trials. IQWiG's methods ask for a Bayesian analysis with three or four trials and for none with
# two. The simulation agrees that no sampling interval is at once honest and usable with so few
# trials. It shows what a prior costs in width and gives in coverage.

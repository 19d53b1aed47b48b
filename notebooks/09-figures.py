# %% [markdown]
# # Figures
#
# Every kind of figure the package draws, on published trials: a result goes in, a Matplotlib Axes
# comes out. Each has a text for readers who cannot see it.

# %%
import pandas as pd

import kapmeta as km
from kapmeta.review.reproduce import save_figure, save_readme_thumbnails

evidence = km.load_evidence()
bcg = km.load_example("bcg")
effects = km.risk_ratio(bcg)
main = km.pool(effects)

# %% [markdown]
# ## Forest plots
#
# Several models under one set of studies; subgroups under two models; the layouts of journals; a
# density in place of the prediction interval; each study added in turn.

# %%
several = km.plot.forest([main, km.pool(effects, model="common"), km.mantel_haenszel(bcg)])
save_figure(several, "gallery-several-models")

# %%
by_allocation = [
    km.subgroups(effects, "allocation", model="common"),
    km.subgroups(effects, "allocation"),
]
grouped = km.plot.forest(by_allocation)
save_figure(grouped, "gallery-subgroups")

# %%
revman = km.plot.forest(main, theme="revman")
save_figure(revman, "gallery-revman")

# %%
jama = km.plot.forest(main, theme="jama")
save_figure(jama, "gallery-jama")

# %%
density = km.plot.forest(main, theme="bmj", prediction="density")
save_figure(density, "gallery-density")

# %%
cumulative = km.plot.sweep(km.cumulative(main, by="year"))
save_figure(cumulative, "gallery-cumulative")

# %% [markdown]
# ## Heterogeneity

# %%
labbe = km.plot.labbe(effects)
save_figure(labbe, "gallery-labbe")

# %%
radial = km.plot.radial(main)
save_figure(radial, "gallery-radial")

# %%
baujat = km.plot.baujat(km.baujat(main))
save_figure(baujat, "gallery-baujat")

# %%
influence = km.plot.influence(km.influence(main))
save_figure(influence, "gallery-influence")

# %%
bubble = km.plot.bubble(km.meta_regression(effects, ["latitude"]))
save_figure(bubble, "gallery-bubble")

# %%
drapery = km.plot.drapery(main)
save_figure(drapery, "gallery-drapery")

# %%
gosh = km.plot.gosh(km.all_subsets(km.pool(effects, model="common")), by="TPT Madras 1980")
save_figure(gosh, "gallery-subsets")

# %% [markdown]
# ## Priors and choices

# %%
bayes = km.pool_bayes(effects, tau_prior=km.pooling.half_normal(0.5))
posterior = km.plot.posterior(bayes)
save_figure(posterior, "gallery-posterior")

# %%
prior_scale = km.plot.prior_scale(bayes)
save_figure(prior_scale, "gallery-prior-scale")

# %%
multiverse = km.plot.multiverse(
    km.multiverse(bcg.head(5), choices={"measure": ["RR"]}, progress=False)
)
save_figure(multiverse, "gallery-multiverse")

# %% [markdown]
# ## Small-study effects and risk of bias

# %%
funnel = km.plot.funnel(main, test=km.asymmetry_test(effects))
save_figure(funnel, "gallery-funnel")

# %%
labels = evidence.studies.set_index("study_id")["label"].to_dict()
traffic_light = km.plot.risk_of_bias(evidence.risk_of_bias, labels=labels)
save_figure(traffic_light, "gallery-risk-of-bias")

# %%
judged = km.plot.risk_of_bias_summary(evidence.risk_of_bias)
save_figure(judged, "gallery-risk-of-bias-summary")

# %% [markdown]
# ## Missing outcomes and follow-up
#
# No trial here reports what these two need; the numbers of this trial are invented.

# %%
trial = pd.DataFrame(
    {"study": ["Invented"], "events_t": [20], "n_t": [40], "events_c": [8], "n_c": [40]}
)
tipping = km.plot.tipping(km.tipping_point(trial.assign(missing_t=4, missing_c=9)))
save_figure(tipping, "gallery-tipping")

# %%
months = trial.merge(pd.DataFrame({"months": [1, 3, 6]}), how="cross")
times = months.assign(events_t=[18, 14, 10], events_c=[10, 6, 4])
follow_up = km.plot.follow_up(km.effects.event_free_curve(times), event="Abstinent")
save_figure(follow_up, "gallery-follow-up")

# %%
save_readme_thumbnails(
    {
        "gallery-subgroups": ("Forest plot, subgroups", grouped),
        "gallery-revman": ("Forest plot, RevMan layout", revman),
        "gallery-jama": ("Forest plot, JAMA layout", jama),
        "gallery-density": ("Forest plot, prediction as density", density),
        "gallery-cumulative": ("Cumulative, by year", cumulative),
        "gallery-several-models": ("Forest plot, several models", several),
        "gallery-funnel": ("Funnel with contours and test", funnel),
        "gallery-radial": ("Radial", radial),
        "gallery-labbe": ("L'Abbé", labbe),
        "gallery-baujat": ("Baujat", baujat),
        "gallery-influence": ("Influence of each study", influence),
        "gallery-bubble": ("Bubble (meta-regression)", bubble),
        "gallery-drapery": ("Drapery", drapery),
        "gallery-subsets": ("GOSH, every subset", gosh),
        "gallery-multiverse": ("Specification curve", multiverse),
        "gallery-posterior": ("Posterior and prior", posterior),
        "gallery-prior-scale": ("Scale of the prior", prior_scale),
        "gallery-tipping": ("Tipping surface", tipping),
        "gallery-follow-up": ("Follow-up", follow_up),
        "gallery-risk-of-bias": ("Risk of bias, traffic light", traffic_light),
        "gallery-risk-of-bias-summary": ("Risk of bias, summary", judged),
    }
)

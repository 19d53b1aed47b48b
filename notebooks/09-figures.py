# %% [markdown]
# # Figures
#
# Every kind of figure the package draws, on published trials: a result goes in, a Matplotlib Axes comes out. Each
# carries a text for readers who cannot see it.

# %%
import kapmeta as km
from kapmeta.reproduce import save_figure

evidence = km.load_evidence()
bcg = km.load_example("bcg")
effects = km.risk_ratio(bcg)
main = km.pool(effects)

# %% [markdown]
# ## Forest plots

# %%
axes = km.plot.forest([main, km.pool(effects, model="common"), km.mantel_haenszel(bcg)])
save_figure(axes, "gallery-several-models")

# %%
axes = km.plot.forest(km.subgroups(effects, "allocation"))
save_figure(axes, "gallery-subgroups")

# %%
axes = km.plot.forest(main, theme="revman")
save_figure(axes, "gallery-revman")

# %%
axes = km.plot.forest(main, theme="jama")
save_figure(axes, "gallery-jama")

# %%
axes = km.plot.sweep(km.cumulative(main, by="year"))
save_figure(axes, "gallery-cumulative")

# %% [markdown]
# ## Heterogeneity

# %%
axes = km.plot.labbe(effects)
save_figure(axes, "gallery-labbe")

# %%
axes = km.plot.radial(main)
save_figure(axes, "gallery-radial")

# %%
axes = km.plot.influence(km.influence(main))
save_figure(axes, "gallery-influence")

# %%
axes = km.plot.bubble(km.meta_regression(effects, ["latitude"]))
save_figure(axes, "gallery-bubble")

# %%
axes = km.plot.drapery(main)
save_figure(axes, "gallery-drapery")

# %% [markdown]
# ## Risk of bias

# %%
axes = km.plot.risk_of_bias(evidence.risk_of_bias)
save_figure(axes, "gallery-risk-of-bias")

"""Pooling: effects or counts go in, one pooled result comes out.

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapmeta._lazy import lazy

if TYPE_CHECKING:
    from kapmeta.core.bayes.empirical_priors import empirical as empirical
    from kapmeta.core.bayes.empirical_priors import empirical_mean as empirical_mean
    from kapmeta.core.bayes.empirical_priors import rhodes as rhodes
    from kapmeta.core.bayes.empirical_priors import turner as turner
    from kapmeta.core.bayes.priors import half_cauchy as half_cauchy
    from kapmeta.core.bayes.priors import half_normal as half_normal
    from kapmeta.core.bayes.priors import inverse_gamma as inverse_gamma
    from kapmeta.core.bayes.priors import log_normal as log_normal
    from kapmeta.core.bayes.priors import uniform as uniform
    from kapmeta.pooling.bayes import pool_bayes as pool_bayes
    from kapmeta.pooling.exact import pool_exact as pool_exact
    from kapmeta.pooling.headlines import headline as headline
    from kapmeta.pooling.headlines import headline_effect as headline_effect
    from kapmeta.pooling.inverse_variance import pool as pool
    from kapmeta.pooling.stratified import mantel_haenszel as mantel_haenszel
    from kapmeta.pooling.stratified import peto as peto

_FILES = {
    "bayes": ["pool_bayes"],
    "exact": ["pool_exact"],
    "headlines": ["headline", "headline_effect"],
    "inverse_variance": ["pool"],
    "stratified": ["mantel_haenszel", "peto"],
    "kapmeta.core.bayes.priors": [
        "half_cauchy",
        "half_normal",
        "inverse_gamma",
        "log_normal",
        "uniform",
    ],
    "kapmeta.core.bayes.empirical_priors": ["empirical", "empirical_mean", "rhodes", "turner"],
}

__all__, __getattr__, __dir__ = lazy(__name__, _FILES)

"""The other packages, each as a function that fits one random-effects model.

Packages that are not installed are left out.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.inputs import Studies
from benchmarks.timing import Taken, looped
from kapmeta.core.numerics.arrays import FloatArray

Fit = Callable[[FloatArray, FloatArray], float]  # effects and variances to tau2


class Peer(NamedTuple):
    """A package: its name for pip, its module, its estimator, and a `fit` that returns tau2."""

    distribution: str
    module: str
    estimator: str
    make: Callable[[Any], Fit]


def _statsmodels(module: Any) -> Fit:
    return lambda y, v: float(module.combine_effects(y, v, method_re="iterated").tau2)


def _pymare(module: Any) -> Fit:
    def fit(y: FloatArray, v: FloatArray) -> float:
        estimator = module.VarianceBasedLikelihoodEstimator(method="REML")
        estimator.fit(y=y[:, None], v=v[:, None], X=np.ones((y.size, 1)))
        return float(np.squeeze(estimator.params_["tau2"]))

    return fit


def _pimeta(module: Any) -> Fit:
    return lambda y, v: float(module.rma(y, v, method="REML").tau2)


def _pymetaanalysis(module: Any) -> Fit:
    return lambda y, v: float(module.meta_analysis(effect=y, variance=v).tau2)


PEERS: Mapping[str, Peer] = {
    "statsmodels": Peer("statsmodels", "statsmodels.stats.meta_analysis", "PM", _statsmodels),
    "PyMARE": Peer("PyMARE", "pymare.estimators", "REML", _pymare),
    "pimeta": Peer("pimeta", "pimeta", "REML", _pimeta),
    "PyMetaAnalysis": Peer("PyMetaAnalysis", "meta_analyze", "REML", _pymetaanalysis),
}


def installed() -> dict[str, tuple[str, Fit]]:
    """Return the version and the fit of every peer that can be imported."""
    found = {}
    for name, peer in PEERS.items():
        try:
            module = importlib.import_module(peer.module)
        except ImportError:
            continue
        found[name] = importlib.metadata.version(peer.distribution), peer.make(module)
    return found


@contextmanager
def silent() -> Iterator[None]:
    """Silence the warnings of other packages, which are not what is timed."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def loop_of_fits(fit: Fit, data: Studies, rows: Callable[[int], Any], number: int) -> Taken:
    """Time `number` fits of the studies `rows(i)` picks, one after the other.

    A fit that fails costs its time and is passed over.
    """

    def one(i: int) -> None:
        try:
            fit(*(np.ascontiguousarray(part[rows(i)]) for part in data))
        except Exception:  # "did not converge", in as many ways as there are packages
            return

    with silent():
        return looped(one, number)


def pymare_batch(data: Studies) -> Callable[[], object]:
    """Fit all analyses (analyses, k) in one call of PyMARE, each at a local mode.

    PyMARE takes data sets as columns.
    """
    module = importlib.import_module(PEERS["PyMARE"].module)
    y, v = (np.ascontiguousarray(part.T) for part in data)
    ones = np.ones((len(y), 1))

    def fit() -> object:
        with silent():
            return module.VarianceBasedLikelihoodEstimator(method="REML").fit(y=y, v=v, X=ones)

    return fit


def metafor(data: Mapping[str, Studies]) -> dict[str, Any] | None:
    """Read what `metafor.R` measures on the same inputs; None without R or metafor."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return None
    script = Path(__file__).with_name("metafor.R")
    with tempfile.TemporaryDirectory() as folder:
        for name, studies in data.items():
            for letter, part in zip("yv", studies, strict=True):
                np.savetxt(
                    Path(folder) / f"{name}-{letter}.csv",
                    np.atleast_2d(part),
                    fmt="%.17g",
                    delimiter=",",
                )
        run = subprocess.run(
            [rscript, "--vanilla", script, folder], capture_output=True, text=True, check=False
        )
    return json.loads(run.stdout) if run.returncode == 0 else None

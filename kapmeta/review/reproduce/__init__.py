"""Remake every notebook, table and figure from ``data/``, or check that nothing would change.

``python -m kapmeta.review.reproduce`` runs each ``notebooks/NN-name.py`` in a fresh kernel of a
scratch tree and copies what came out to ``results/``, ``figures/``, ``notebooks/*.ipynb`` and the
generated parts of ``README.md``. A notebook that fails leaves everything as it was. With
``--check`` nothing is copied: the two trees are compared.

Notebooks save through `save_table`, `save_figure` and `save_text`: one name is one file wherever
they run.
"""

from __future__ import annotations

from kapmeta.review.reproduce.saving import (
    save_figure,
    save_readme_gallery,
    save_readme_table,
    save_readme_thumbnails,
    save_table,
    save_text,
    study_file,
)

__all__ = [
    "save_figure",
    "save_readme_gallery",
    "save_readme_table",
    "save_readme_thumbnails",
    "save_table",
    "save_text",
    "study_file",
]

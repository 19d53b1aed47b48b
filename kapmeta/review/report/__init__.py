"""The reader's page: everything the evidence says, with its limits, in one static file.

It needs no network and tracks nobody.

`write_page` makes ``index.html``. Its numbers come from the library's results; each table on it has
the name of the file in ``results/`` that holds the same numbers.
"""

from __future__ import annotations

from kapmeta.review.report.pages import write_page
from kapmeta.review.report.plain import in_short
from kapmeta.review.report.tables import question_analyses, trials_table

__all__ = ["in_short", "question_analyses", "trials_table", "write", "write_page"]

write = write_page  # within its room the short name is enough

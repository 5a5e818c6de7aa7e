"""Great Expectations at the two edges: what is about to be loaded, what is about to be published.

``validate_load`` and ``validate_published`` judge and keep results; ``results`` reads them; ``build_data_docs`` makes
pages of them. Great Expectations itself is imported when the first of them judges, or before, beside other
work, by ``prepare``.
"""

from expectations.data_docs import build_data_docs
from expectations.delivery import validate_load
from expectations.judge import prepare
from expectations.store import results
from expectations.warehouse import validate_published

__all__ = ["build_data_docs", "prepare", "results", "validate_load", "validate_published"]

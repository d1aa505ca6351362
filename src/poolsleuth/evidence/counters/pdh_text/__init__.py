"""Counter logs in text form: what perfmon, relog and typeperf write as CSV or TSV, and what others write like it."""

from poolsleuth.evidence.counters.pdh_text.header import looks_like_pdh_text
from poolsleuth.evidence.counters.pdh_text.reader import PdhTextReader

__all__ = ["PdhTextReader", "looks_like_pdh_text"]

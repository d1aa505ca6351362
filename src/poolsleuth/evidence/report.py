"""Our own JSON report, read back as evidence: its machines are taken over as they are."""

from poolsleuth.evidence.source import EvidenceStream
from poolsleuth.model.document import from_json
from poolsleuth.model.errors import InputError
from poolsleuth.model.report import Report

MAX_REPORT = 256 << 20  # bytes: a report of a machine with 100,000 tags has about 30 MB


def read_report(stream: EvidenceStream) -> Report:
    """The report of a stream. Raises InputError when it is none of ours, damaged, or larger than ``MAX_REPORT``."""
    data = stream.read(MAX_REPORT + 1)
    while len(data) <= MAX_REPORT and (more := stream.read(MAX_REPORT)):
        data += more
    if len(data) > MAX_REPORT:
        raise InputError(f"this JSON is larger than {MAX_REPORT >> 20} MB, which no report is")
    try:
        return from_json(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError("this report is not UTF-8 text") from error

"""What an input is, by its first bytes: the name of a file proves nothing."""

import re
import struct
from enum import StrEnum

from poolsleuth.evidence.counters.pdh_text import looks_like_pdh_text
from poolsleuth.evidence.debugger_log.decode import encoding_of
from poolsleuth.evidence.poolmon_log import looks_like_poolmon_log
from poolsleuth.evidence.poolmonx import looks_like_poolmonx
from poolsleuth.evidence.tag_csv import looks_like_tag_csv
from poolsleuth.sampling.recording.layout import is_recording


class Content(StrEnum):
    """What the first bytes show."""

    TEXT = "text"
    REPORT = "report"
    POOL_TAGS = "pool-tags"
    CRASH_DUMP = "crash-dump"
    USER_DUMP = "user-dump"
    DRIVER = "driver"
    COUNTER_LOG = "counter-log"
    TRACE_OR_BLG = "trace-or-blg"
    POOLMON = "poolmon"
    POOLMONX = "poolmonx"
    TAG_CSV = "tag-csv"
    MEMORY_IMAGE = "memory-image"
    RECORDING = "recording"


_TAG_LINE = re.compile(r"^[ ]?[^\s-][^\r\n]{0,3}?[ ]*-[ ]?[\w!<.+/\\]+[^\r\n]{0,60}?[ ]+-[ ]?", re.MULTILINE)
_TAG_COMMENT = re.compile(r"^rem\b", re.MULTILINE | re.IGNORECASE)
# A pool tag list is nothing but such lines; a log that quotes a few of them is still a log
_TAG_LINES_SHARE = 0.6
_ETW_BUFFER = (0x400, 0x1000000)  # sizes of an ETW buffer; .blg and .etl are both rows of them


def content_of(sample: bytes) -> Content:
    """What an input is, from its first bytes (64 KB are enough).

    Raises InputError when it is binary data of no known kind.
    """
    for magic, content in (
        (b"PAGEDUMP", Content.CRASH_DUMP),
        (b"PAGEDU64", Content.CRASH_DUMP),
        (b"MDMP", Content.USER_DUMP),
        (b"MZ", Content.DRIVER),
        (b"\x7fELF", Content.MEMORY_IMAGE),  # a core of a virtual machine; its reader refuses other ELF files
        (b"EMiL", Content.MEMORY_IMAGE),
    ):
        if sample.startswith(magic) and (magic != b"MZ" or b"\0" in sample[:64]):
            return content
    if is_recording(sample):
        return Content.RECORDING  # or another Parquet file, which its reader refuses
    if _is_etw(sample):
        return Content.TRACE_OR_BLG
    if looks_like_poolmonx(sample):
        return Content.POOLMONX
    text = sample.decode(encoding_of(sample), errors="replace").lstrip("\ufeff")
    stripped = text.lstrip()
    if stripped.startswith("{") and '"schema"' in stripped[:4096]:
        return Content.REPORT
    if looks_like_pdh_text(text):
        return Content.COUNTER_LOG
    if looks_like_tag_csv(text):
        return Content.TAG_CSV
    if looks_like_poolmon_log(text):
        return Content.POOLMON
    lines = [line for line in text.splitlines() if line.strip()]
    tags = len(_TAG_LINE.findall(text)) + len(_TAG_COMMENT.findall(text))
    if lines and _TAG_LINE.search(text) and tags >= _TAG_LINES_SHARE * len(lines):
        return Content.POOL_TAGS
    return Content.TEXT


def _is_etw(sample: bytes) -> bool:
    if len(sample) < 0x70:
        return False
    (size,) = struct.unpack_from("<I", sample, 0)
    (event,) = struct.unpack_from("<I", sample, 0x48)
    return (
        _ETW_BUFFER[0] <= size <= _ETW_BUFFER[1] and event & 0xC0000000 == 0xC0000000 and (event >> 16) & 0xFF in (1, 2)
    )


REFUSALS = {
    Content.USER_DUMP: "it is a user-mode minidump, which holds nothing about kernel pool; a kernel dump (MEMORY.DMP)"
    " or a debugger log is needed",
    Content.DRIVER: "it is a driver or program in a packed file: unpack it, drivers are read as files",
}

"""The figures expected here stand in the quoted lines of a real output."""

import io
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.modules import ImportTableRange

HEADERS = """2: kd> !dh -f f50b3000

File Type: EXECUTABLE IMAGE
FILE HEADER VALUES
     14C machine (i386)
       5 number of sections

OPTIONAL HEADER VALUES
     10B magic #
00010000 image base
       0 [       0] address [size] of Export Directory
    28E0 [      54] address [size] of Debug Directory
   1D000 [     360] address [size] of Import Address Table Directory
    E0AC [     320] address [size] of Delay Import Directory
"""

DAMAGES: dict[str, Callable[[str], str]] = {
    "as it was": lambda text: text,
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "tabbed": lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    "wrapped": lambda text: text.replace("of Import Address ", "of Import\nAddress "),
}


def ranges(text: str) -> list[ImportTableRange]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode("utf-8", "replace"))))
    assert not [p for p in reader.problems if "could not be read" in p.says]
    return [fact for fact in facts if isinstance(fact, ImportTableRange)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_range(damage: str) -> None:
    (found,) = ranges(DAMAGES[damage](HEADERS))
    # The line reads "1D000 [     360] address [size] of Import Address Table Directory"
    assert (found.rva, found.size) == (0x1D000, 0x360)
    # The base is the one asked for; "00010000 image base" is where the image would like to be
    assert (found.module, found.base, found.address_bits) == (None, 0xF50B3000, 32)


@pytest.mark.parametrize(
    ("command", "module", "base"),
    [
        ("!dh HTTP -f", "HTTP", None),
        ("!dh -f nt", "nt", None),
        ("!dh fffff880`0297a000", None, 0xFFFFF8800297A000),
        ("!dh", None, None),
    ],
)
def test_what_the_command_names(command: str, module: str | None, base: int | None) -> None:
    (found,) = ranges(HEADERS.replace("!dh -f f50b3000", command))
    assert (found.module, found.base) == (module, base)


def test_row_alone_and_modules_without_a_table() -> None:
    (found,) = ranges("    8000 [     204] address [size] of Import Address Table Directory\n")
    assert (found.rva, found.size, found.module, found.base) == (0x8000, 0x204, None, None)
    assert ranges("       0 [       0] address [size] of Import Address Table Directory\n") == []


@settings(deadline=None)
@given(st.integers(0, len(HEADERS)), st.integers(0, len(HEADERS)), st.text(max_size=30))
def test_damaged_outputs_never_fail(start: int, end: int, inserted: str) -> None:
    for text in (HEADERS[start:end], HEADERS[:start] + inserted + HEADERS[end:]):
        ranges(text)

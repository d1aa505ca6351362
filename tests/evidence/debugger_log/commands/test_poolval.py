"""The sentences expected here stand in the quoted lines of real outputs."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.pool import PoolPage, PoolValidation

SHARED = Path(__file__).parents[5] / "shared"

INVALID = """0: kd> !poolval ffffbd06d46e0000
Pool page ffffbd06d46e0000 region is Paged pool

Validating Pool headers for pool page: ffffbd06d46e0000

Pool page [ ffffbd06d46e0000 ] is INVALID.

Analyzing linked list...
[ ffffbd06d46e0000 ]: invalid previous size [ 0x41 ] should be [ 0x0 ]


Scanning for single bit errors...

None found
"""

DAMAGES: dict[str, Callable[[str], str]] = {
    "as it was": lambda text: text,
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "tabbed": lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    "wrapped": lambda text: (
        text.replace(" should be", "\nshould be").replace("page: ", "page:\n").replace("is INVALID", "is\nINVALID")
    ),
    "without prompts": lambda text: re.sub(r"(?m)^.*kd> .*\n", "", text),
    "announcement lost": lambda text: text[text.index("Pool page [") :],
}


def validations(text: str) -> list[PoolValidation]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode("utf-8", "replace"))))
    assert not [p for p in reader.problems if "could not be read" in p.says]
    assert not [fact for fact in facts if isinstance(fact, PoolPage)]
    return [fact for fact in facts if isinstance(fact, PoolValidation)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_invalid_page(damage: str) -> None:
    (fact,) = validations(DAMAGES[damage](INVALID))
    assert (fact.page, fact.valid, fact.address_bits) == (0xFFFFBD06D46E0000, False, 64)
    assert fact.errors == ("[ ffffbd06d46e0000 ]: invalid previous size [ 0x41 ] should be [ 0x0 ]",)


def test_older_spelling_and_a_valid_page() -> None:
    text = "Pool page [ 8600b000 ] is __inVALID.\n\nPool page [ 8600c010 ] is __VALID.\n"
    assert [(fact.page, fact.valid) for fact in validations(text)] == [(0x8600B000, False), (0x8600C000, True)]


def test_a_cut_output_says_nothing_about_validity() -> None:
    (fact,) = validations("Validating Pool headers for pool page: 0fffc48068d7d000\n")
    # The typed address had lost its leading digit, and is reported as printed
    assert (fact.page, fact.valid, fact.errors) == (0x0FFFC48068D7D000, None, ())


@settings(deadline=None)
@given(st.integers(0, len(INVALID)), st.integers(0, len(INVALID)), st.text(max_size=30))
def test_damaged_outputs_never_fail(start: int, end: int, inserted: str) -> None:
    for text in (INVALID[start:end], INVALID[:start] + inserted + INVALID[end:]):
        validations(text)


def test_real_file() -> None:
    path = SHARED / "data/transcripts/039_win11_0x19_analyze_pool_poolval.txt"
    if not path.exists():
        pytest.skip(f"{path.name} is absent")
    facts = list(LogReader(0).read(io.BytesIO(path.read_bytes())))
    (fact,) = [fact for fact in facts if isinstance(fact, PoolValidation)]
    assert (fact.page, fact.valid, len(fact.errors)) == (0xFFFFBD06D46E0000, False, 1)

"""The numbers expected here stand in the quoted lines of real outputs."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.pool import Lookaside, Lookasides

SHARED = Path(__file__).parents[5] / "shared"

LISTS = """1: kd> !lookaside

Lookaside "nt!CcTwilightLookasideList" @ 0xfffff80002c49280  Tag(hex): 0x6b576343 "CcWk"
    Type           =       0000  NonPagedPool
    Current Depth  =          0  Max Depth  =         34
    Size           =         32  Max Alloc  =       1088
    AllocateMisses =        534  FreeMisses =        467
    TotalAllocates =        759  TotalFrees =        715
    Hit Rate       =         29% Hit Rate   =         34%

Lookaside "" @ 0xfffff88001294f80  Tag(hex): 0x7366744e "Ntfs"
    Type           =       0011  PagedPool RaiseIfAllocationFailure
    Current Depth  =          2  Max Depth  =          4
    Size           =        496  Max Alloc  =       1984
    AllocateMisses =          8  FreeMisses =          0
    TotalAllocates =     272492  TotalFrees =     272488
...

Total NonPaged currently allocated for above lists =        0
Total NonPaged potential for above lists           =    75624
Total Paged currently allocated for above lists    =      992
Total Paged potential for above lists              =   367832
"""

DAMAGES: dict[str, Callable[[str], str]] = {
    "as it was": lambda text: text,
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "tabbed": lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    "wrapped": lambda text: re.sub(r"  +(Max|Free|Total|Tag)", r"\n\1", text),
    "curly quotes": lambda text: re.sub(r'"(\S*)"', "\u201c\\1\u201d", text),
    "without prompts": lambda text: re.sub(r"(?m)^.*kd> .*\n", "", text),
}


def lookasides(text: str) -> list[Lookasides]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode("utf-8", "replace"))))
    assert not [p for p in reader.problems if "could not be read" in p.says]
    return [fact for fact in facts if isinstance(fact, Lookasides)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_lists_and_totals(damage: str) -> None:
    (found,) = lookasides(DAMAGES[damage](LISTS))
    assert found.lists == (
        Lookaside("nt!CcTwilightLookasideList", "CcWk", 32, 0, 34, 759, 534),
        Lookaside("", "Ntfs", 496, 2, 4, 272492, 8),
    )
    assert found.address_bits == 64
    assert found.nonpaged_total is not None
    assert found.paged_total is not None
    assert (found.nonpaged_total.value, found.paged_total.value) == (0, 992)


def test_tag_from_its_number() -> None:
    (found,) = lookasides('Lookaside "nt!X" @ 8054f300  Tag(hex): 0x6b576343\n    Size = 32\n')
    assert found.lists == (Lookaside("nt!X", "CcWk", 32, None, None, None, None),)
    assert found.address_bits == 32


def test_totals_alone() -> None:
    (found,) = lookasides(LISTS[LISTS.index("Total NonPaged") :])
    assert found.lists == ()
    assert found.paged_total is not None


@settings(deadline=None)
@given(st.integers(0, len(LISTS)), st.integers(0, len(LISTS)), st.text(max_size=30))
def test_damaged_outputs_never_fail(start: int, end: int, inserted: str) -> None:
    for text in (LISTS[start:end], LISTS[:start] + inserted + LISTS[end:]):
        lookasides(text)


@pytest.mark.parametrize(("name", "count"), [("034_win7x64_lookaside.txt", 1), ("052_win8_lookaside_list.txt", 2)])
def test_real_files(name: str, count: int) -> None:
    path = SHARED / "data/transcripts" / name
    if not path.exists():
        pytest.skip(f"{name} is absent")
    (found,) = lookasides(path.read_text("utf-8"))
    assert len(found.lists) == count

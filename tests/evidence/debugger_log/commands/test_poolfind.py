"""The numbers expected here stand in the quoted lines of real outputs beside them."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.commands.poolfind import search_of, wanted_tag
from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.pool import PoolBlockList
from poolsleuth.model.tags import PoolKind

SHARED = Path(__file__).parents[5] / "shared"

OLD = """kd> !poolfind SeSd 1

Scanning large pool allocation table for Tag: SeSd (827d1000 : 827e9000)

Searching Paged pool (e1000000 : e4400000) for Tag: SeSd

e10000b0 size:   d0 previous size:   20  (Allocated) SeSd
e1000260 size:   d0 previous size:   60  (Allocated) SeSd
......
e1221dc0 size:   a0 previous size:   60  (Free)      SeSd

...terminating - searched pool to e1224000
kd> 
"""  # noqa: W291

NEW = """0: kd> !poolfind -tag amda

Scanning large pool allocation table for tag 0x61646d61 (amda) (ffffda0ff7a00000 : ffffda0ff7b00000)

ffffda0ff7ce3000 : tag amda, size    0x3420, Nonpaged pool
ffffda0ff7ce4000 : tag amda, size    3420, Paged pool

Searching nonpaged pool (ffffda0000000000 : ffffea0000000000) for tag 0x61646d61 (amda)

ffffda000a9b6d30 : tag amda, size     0x140, Nonpaged pool
ffffda000a9e0010 : tag amda, size     0x140, Nonpaged pool
... All 0x140 nonpaged
ffffda000f198e80 : tag amda, size         0, Nonpaged pool
"""

DAMAGES: dict[str, Callable[[str], str]] = {
    "as it was": lambda text: text,
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "tabbed": lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    "wrapped": lambda text: text.replace("  (Allocated)", "\n(Allocated)").replace(", size", ",\nsize"),
    "without prompts": lambda text: re.sub(r"(?m)^.*kd> .*\n", "", text),
}


def lists_of(text: str) -> list[PoolBlockList]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode("utf-8", "replace"))))
    assert not [p for p in reader.problems if "could not be read" in p.says]
    return [fact for fact in facts if isinstance(fact, PoolBlockList)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_old_form(damage: str) -> None:
    (found,) = lists_of(DAMAGES[damage](OLD))
    assert (found.tag_asked, found.pool, found.terminated, found.address_bits) == ("SeSd", PoolKind.PAGED, True, 32)
    assert set(found.counts) == {("SeSd", 0xD0, False, 2), ("SeSd", 0xA0, True, 1)}
    assert found.first[0].address == 0xE10000B0


@pytest.mark.parametrize("damage", DAMAGES)
def test_new_form(damage: str) -> None:
    nonpaged, paged = lists_of(DAMAGES[damage](NEW))
    assert (nonpaged.tag_asked, nonpaged.pool, nonpaged.address_bits) == ("amda", PoolKind.NONPAGED, 64)
    assert not nonpaged.terminated
    # The state is not printed
    assert set(nonpaged.counts) == {("amda", 0x140, None, 2), ("amda", 0x3420, None, 1), ("amda", 0, None, 1)}
    assert (paged.tag_asked, paged.pool, paged.counts) == ("amda", PoolKind.PAGED, (("amda", 0x3420, None, 1),))


def test_rows_that_chain_are_no_page() -> None:
    # "8272d770 size:   60" ends where "8272d7d0" begins
    text = (
        "kd> !poolfind SeSd 0\n"
        "8272d770 size:   60 previous size:   40  (Allocated) SeSd\n"
        "8272d7d0 size:   a0 previous size:   60  (Allocated) SeSd\n"
    )
    (found,) = lists_of(text)
    assert (found.tag_asked, found.pool) == ("SeSd", PoolKind.NONPAGED)
    assert sum(count for *_, count in found.counts) == 2


def test_windows_7_stars_every_row() -> None:
    text = (
        "Searching NonPaged pool (fffffa8000c02000 : ffffffe000000000) for Tag: Proc\n"
        "*fffffa8000c77000 size: 430 previous size: 0  (Allocated) Proc (Protected)\n"
        "*fffffa800138f7a0 size: 430 previous size: 30 (Free) \t  Pro.\n"
    )
    (found,) = lists_of(text)
    assert set(found.counts) == {("Proc", 0x430, False, 1), ("Pro.", 0x430, True, 1)}
    assert found.first[0].protected


def test_interrupted_before_the_first_hit() -> None:
    text = "Searching NonPaged pool (823b1000 : 82800000) for Tag: Zzzz\n\n...terminating - searched pool to 823b2000\n"
    (found,) = lists_of(text)
    assert (found.tag_asked, found.counts, found.terminated) == ("Zzzz", (), True)


def test_searches_of_other_commands_give_nothing() -> None:
    text = "Searching NonPaged pool (8090c000 : 8131e000) for Tag: Irp\n8097c008 Thread 8094d900 current stack\n"
    assert lists_of(text) == []


@pytest.mark.parametrize(
    ("command", "tag", "pool"),
    [
        ("!poolfind SeSd 0", "SeSd", PoolKind.NONPAGED),
        ("!poolfind SeSd 1", "SeSd", PoolKind.PAGED),
        ("!poolfind SeSd", "SeSd", None),
        ('!poolfind -nonpaged -tag "Io  "', "Io", PoolKind.NONPAGED),
        ("!poolfind -tag Proc -paged", "Proc", PoolKind.PAGED),
        ("!poolfind * -nonpaged", None, PoolKind.NONPAGED),
        ("!kdexts.poolfind 0x64536553", "SeSd", None),
    ],
)
def test_commands(command: str, tag: str | None, pool: PoolKind | None) -> None:
    search = search_of(command)
    assert search is not None
    assert (search.tag, search.pool) == (tag, pool)


def test_other_commands_search_nothing() -> None:
    assert search_of("!poolused 2") is None
    assert search_of(None) is None


@pytest.mark.parametrize(
    ("printed", "tag"),
    [
        ("SeSd (827d1000 : 827e9000)", "SeSd"),
        ("0x64536553 (SeSd) (ffffda0ff7a00000 : ffffda0ff7b00000)", "SeSd"),
        ("Io   (827d1000 : 827e9000)", "Io"),
        ("Io (827d1000 : 827e9000)", "Io"),
        ("'Irp?'", "Irp?"),
        ("", None),
    ],
)
def test_tags_of_headers(printed: str, tag: str | None) -> None:
    assert wanted_tag(printed) == tag


SAMPLE = OLD + NEW


@settings(deadline=None)
@given(st.integers(0, len(SAMPLE)), st.integers(0, len(SAMPLE)), st.text(max_size=30))
def test_damaged_outputs_never_fail(start: int, end: int, inserted: str) -> None:
    for text in (SAMPLE[start:end], SAMPLE[:start] + inserted + SAMPLE[end:]):
        for found in lists_of(text):
            assert sum(count for *_, count in found.counts) <= text.count("size")


def test_real_file() -> None:
    path = SHARED / "data/transcripts/015_xp_poolfind_sesd.txt"
    if not path.exists():
        pytest.skip(f"{path.name} is absent")
    nonpaged, paged = lists_of(path.read_text("utf-8"))
    assert (nonpaged.tag_asked, nonpaged.pool, nonpaged.terminated) == ("SeSd", PoolKind.NONPAGED, False)
    # 19 rows, two of them "(Free)"
    assert sum(count for *_, count in nonpaged.counts) == 19
    assert sum(count for _, _, free, count in nonpaged.counts if free) == 2
    assert (paged.pool, paged.terminated, sum(count for *_, count in paged.counts)) == (PoolKind.PAGED, True, 4)

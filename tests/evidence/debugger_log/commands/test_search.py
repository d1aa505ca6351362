"""The values expected here stand in the quoted lines of real outputs."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.commands import search
from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.modules import MemoryHit

SHARED = Path(__file__).parents[5] / "shared"

DWORDS = """2: kd> !for_each_module s-d @#Base @#End e0894d1f
f50b8058  e0894d1f e0828e04 e089b708 e084011b  .M..............
f50c8058  e0894d1f 6b61654c 00000000 00000041  .M..Leak....A...
"""
BYTES = """0: kd> !for_each_module s -a @#Base @#End "Leak"
fffff880`0297a9a4  4c 65 61 6b 53 03 45 00-64 86 00 00 00 00 00 00  LeakS.E.d.......
"""
QUADS = """kd> s -q fffff803`2d600000 l100000 FFFF818000000000
fffff803`2d81c0f8  ffff8180`00000000 4819e0c1`48c08b49
fffff803`2d821290  ffff8180`00000000 0008e1b8`19e6c149
"""

DAMAGES: dict[str, Callable[[str], str]] = {
    "as it was": lambda text: text,
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "tabbed": lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    "curly quotes": lambda text: re.sub(r'"(\S*)"', "\u201c\\1\u201d", text),
    "remarks": lambda text: re.sub(r"(?m)\.$", ".   <- here", text),
}


def collapsed(text: str) -> str:
    return "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines())


def hits(text: str) -> list[MemoryHit]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode("utf-8", "replace"))))
    assert not [p for p in reader.problems if "could not be read" in p.says]
    return [fact for fact in facts if isinstance(fact, MemoryHit)]


@pytest.mark.parametrize("damage", [*DAMAGES, "collapsed"])
def test_dwords(damage: str) -> None:
    first, second = hits(DAMAGES.get(damage, collapsed)(DWORDS))
    assert (first.address, first.address_bits, first.searched) == (0xF50B8058, 32, "e0894d1f")
    assert first.values == (0xE0894D1F, 0xE0828E04, 0xE089B708, 0xE084011B)
    assert first.text == ".M.............."
    assert (second.address, second.text) == (0xF50C8058, ".M..Leak....A...")


@pytest.mark.parametrize("damage", [*DAMAGES, "collapsed"])
def test_bytes(damage: str) -> None:
    (hit,) = hits(DAMAGES.get(damage, collapsed)(BYTES))
    assert (hit.address, hit.address_bits, hit.searched) == (0xFFFFF8800297A9A4, 64, "Leak")
    assert (hit.values, hit.text) == ((), "LeakS.E.d.......")


@pytest.mark.parametrize("damage", DAMAGES)
def test_quads(damage: str) -> None:
    first, second = hits(DAMAGES[damage](QUADS))
    assert (first.address, first.searched, first.text) == (0xFFFFF8032D81C0F8, "FFFF818000000000", "")
    assert first.values == (0xFFFF818000000000, 0x4819E0C148C08B49)
    assert second.address == 0xFFFFF8032D821290


def test_quads_with_text() -> None:
    (hit,) = hits("fffff803`2d81c0f8  ffff8180`00000000 4819e0c1`6b61654c  ........Leak...H\n")
    assert (hit.values, hit.text) == ((0xFFFF818000000000, 0x4819E0C16B61654C), "........Leak...H")


def test_blanks_in_the_text_are_restored() -> None:
    (hit,) = hits(collapsed("f50c8058  e0894d1f 6b202065 00000020 00000041  .M..e  k ...A..."))
    assert hit.text == ".M..e  k ...A..."


def test_without_its_command() -> None:
    (hit,) = hits(DWORDS.splitlines()[1] + "\n")
    assert (hit.address, hit.searched, hit.command) == (0xF50B8058, None, None)


def test_command_without_prompt() -> None:
    assert [hit.searched for hit in hits(DWORDS.replace("2: kd> ", ""))] == ["e0894d1f"] * 2


@pytest.mark.parametrize(
    "text",
    [
        # a memory dump prints the same rows
        "0: kd> dc f50b8058\n" + DWORDS.splitlines()[1] + "\n",
        "ffffbd06`d46dff00  00000000 00000000 00000000 00000000  ................\n"
        "ffffbd06`d46dff10  00000000 00000000 00000000 00000000  ................\n",
        # kv prints five numbers and a symbol
        "f7a3fc5c 80526da0 00000001 f7a3fce4 00000000 nt!IopParseDevice+0x916 (FPO: [Non-Fpo])\n",
        "f7a3fc5c 80526da0 00000001 f7a3fce4 00000000 my.name!Routine\n",
        # flag 1 of !pool
        " e1001008  ffffffff 0057005c 004e0049 004f0044\n",
        # !locks
        "              fffffa800d4dc040       fffffa800d9a1080       fffffa8010d5e040\n",
        "0:002> s -d 0 L?1000 e0894d1f\n" + DWORDS.splitlines()[1] + "\n",
    ],
)
def test_rows_that_are_no_hits(text: str) -> None:
    assert hits(text) == []


def test_hits_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_HITS", 1)
    reader = LogReader(0)
    assert len(list(reader.read(io.BytesIO(DWORDS.encode())))) == 1
    assert len(reader.problems) == 1


SAMPLE = DWORDS + BYTES + QUADS


@settings(deadline=None)
@given(st.integers(0, len(SAMPLE)), st.integers(0, len(SAMPLE)), st.text(max_size=30))
def test_damaged_outputs_never_fail(start: int, end: int, inserted: str) -> None:
    for text in (SAMPLE[start:end], SAMPLE[:start] + inserted + SAMPLE[end:]):
        assert len(hits(text)) <= text.count("\n") + 1


@pytest.mark.parametrize(
    "name", ["seeds/001_a69109390386e220.txt", "data/transcripts/002_srv2003_vm_poolused_t2_dps_lmi_flattened.txt"]
)
def test_real_files(name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is absent")
    (hit,) = hits(path.read_text("utf-8"))
    assert (hit.address, hit.searched, hit.values[0]) == (0xF50B8058, "e0894d1f", 0xE0894D1F)

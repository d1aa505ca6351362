"""Tag lists: the form of the real file and its odd lines."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence import pooltags
from poolsleuth.evidence.pooltags import MAX_TEXT, parse_pool_tags
from poolsleuth.model.tags import TagDescription

SHARED = Path(__file__).parents[3] / "shared"


def entries(text: str) -> list[TagDescription]:
    return list(parse_pool_tags(text, 0).entries)


@pytest.mark.parametrize(
    ("line", "tag", "binary", "description"),
    [
        ("AcpA - acpi.sys     - ACPI arbiter data", "AcpA", "acpi.sys", "ACPI arbiter data"),
        ("8042 - i8042prt.sys - PS/2 keyboard and mouse", "8042", "i8042prt.sys", "PS/2 keyboard and mouse"),
        (
            "@GMM - <unknown>    - (Intel video driver) Memory manager",
            "@GMM",
            None,
            "(Intel video driver) Memory manager",
        ),
        (
            "MmCm - nt!mm        - Calls made to MmAllocateContiguousMemory",
            "MmCm",
            "nt!mm",
            "Calls made to MmAllocateContiguousMemory",
        ),
        ("CM   - nt!cm - Configuration Manager - registry", "CM", "nt!cm", "Configuration Manager - registry"),
        ("Io?? - io.sys - any", "Io??", "io.sys", "any"),
        ("Abc -abc.sys - glued", "Abc", "abc.sys", "glued"),
        ("-UMD - umd.sys - a dash first", "-UMD", "umd.sys", "a dash first"),
        ("Txt  - just a description", "Txt", None, "just a description"),
        ("\ufeffAbcd - a.sys - marked", "Abcd", "a.sys", "marked"),
    ],
)
def test_lines(line: str, tag: str, binary: str | None, description: str) -> None:
    assert entries(line + "\n") == [TagDescription(tag, binary, description)]


@pytest.mark.parametrize(
    "line", ["", "rem Abcd - a.sys - no", "// Abcd - x", "; x - y", "\x1a", "TooLong - a.sys - x", "no dash"]
)
def test_no_entries(line: str) -> None:
    assert entries(line) == []


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(entries("Abcd - a.sys - " + "x" * 10_000)[0].description) == MAX_TEXT
    monkeypatch.setattr(pooltags, "MAX_ENTRIES", 10)
    assert len(entries("Abcd - a.sys - x\n" * 50)) == 10


def test_the_real_file() -> None:
    path = SHARED / "data" / "pooltag" / "pooltag.txt"
    if not path.is_file():
        pytest.skip("Microsoft's pooltag.txt is not there")
    found = entries(path.read_text(encoding="utf-8", errors="replace"))
    assert 3900 < len(found) < 4100
    assert TagDescription("8042", "i8042prt.sys", "PS/2 keyboard and mouse") in found


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text("ABCdefg019?*@_.+", min_size=1, max_size=4).filter(lambda tag: tag.lower() != "rem"),
            st.from_regex(r"[a-z]{1,8}\.sys", fullmatch=True) | st.none(),
            st.from_regex(r"[A-Za-z][A-Za-z0-9 ,()/]{0,40}[a-z]", fullmatch=True),
        ),
        max_size=20,
    )
)
def test_round_trip(rows: list[tuple[str, str | None, str]]) -> None:
    text = "".join(f"{tag:<4} - {binary or '<unknown>':<12} - {description}\r\n" for tag, binary, description in rows)
    assert entries(text) == [TagDescription(*row) for row in rows]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    for entry in entries(text):
        assert 1 <= len(entry.pattern) <= 5

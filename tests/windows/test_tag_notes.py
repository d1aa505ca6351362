"""The notes on pool tags: they can be found, they say something, and they are our own words."""

import re
from itertools import combinations
from pathlib import Path

import pytest

from poolsleuth.windows.tag_notes import Role, TagNote, all_notes, find

MICROSOFTS_LIST = Path(__file__).parents[2].parent / "shared" / "data" / "pooltag" / "pooltag.txt"
COPIED_WORDS = 6  # as many words in a row are no accident any more

FIELD = """
    MmSt Ntff Ntfr NtFs NtFC CM CMAl CMpb CM31 Thre Proc Toke Even File Key Sema Muta Port ALPC Sect
    Symt ObNm ObDi ObDm Obtb ObSq ObCI SeTd SeSd SeTl SePa EtwB EtwR Irp Io IoFc Irps Mdl MmCm Cont MmCa
    MmCi MmSm Ddk None Wdm Pool LSwi LSwn TCPt TcpE UdpA AfdB AleE FMfn FMsl Gh05 Gla5 Gcac Gtmp GTmp
    Usac Uspi Ussi VoSm AmlH ViMm DxgK ReEv ReTa Strg Fat Wait NDpp NDnd RaRS RaDA ScC1 MFE0 Leak SmMs
    smNp CcSc CcVa CcBc Mup RxFc DfCa UlHT PX1 WfpM Acpi AcpA PcNw usbp Ussb HidC Vad VadS MmDT PsTp
    PsIm TSic TSdd Vprt FSfm Fstb Bmfd Ttfd Gfnt BIG Ovfl VHDa D2d Dcdd NBFa NbtD WmiG Wmip Driv Devi
    PnpI Ppen ArbR Hal HAL KSpp Atom
"""
TAGS_OF_THE_FIELD = FIELD.split()


def found(tag: str) -> TagNote:
    note = find(tag)
    assert note is not None, tag
    return note


def texts(note: TagNote) -> tuple[str, str, str]:
    return note.holds, note.growth, note.next_step


def is_family(pattern: str) -> bool:
    return "?" in pattern or "*" in pattern


def test_there_are_enough_notes() -> None:
    assert len(all_notes()) >= 200


@pytest.mark.parametrize("tag", TAGS_OF_THE_FIELD)
def test_a_tag_that_engineers_meet_has_a_note(tag: str) -> None:
    assert found(tag)


@pytest.mark.parametrize(
    ("tag", "pattern"),
    [
        ("Ntff", "Ntff"),
        ("NtfZ", "Ntf?"),
        ("NtFZ", "NtF?"),
        ("CM", "CM"),
        ("CM31", "CM??"),
        ("CMA1", "CMA?"),
        ("CMAl", "CMAl"),
        ("Gh05", "Gh?5"),
        ("Gh0E", "Gh??"),
        ("Gxyz", "G???"),
        ("AmlH", "AmlH"),
        ("Amlx", "Aml*"),
        ("TSNb", "TSNb"),
        ("TSch", "TS??"),
        ("LS2c", "LS2c"),
        ("LS2q", "LS2?"),
        ("LSxx", "LS??"),
        ("Ussb", "Ussb"),
        ("Muta", "Muta"),
        ("MuUn", "Mu??"),
    ],
)
def test_the_most_telling_pattern_wins(tag: str, pattern: str) -> None:
    assert found(tag).pattern == pattern


def test_a_question_mark_comes_before_a_star() -> None:
    stars = [note.pattern for note in all_notes() if "*" in note.pattern]
    for star in stars:
        assert found(star.replace("*", "~")).pattern == star
    assert not {found(tag).pattern for tag in TAGS_OF_THE_FIELD if tag != "AmlH"} & set(stars)


def test_every_exact_pattern_finds_itself() -> None:
    for note in all_notes():
        if not is_family(note.pattern):
            assert find(note.pattern) is note


def test_every_family_covers_some_tag() -> None:
    # "~" stands in no real tag: only the family itself can cover it, however short or long its literals.
    for note in all_notes():
        if is_family(note.pattern):
            assert find(note.pattern.replace("?", "~").replace("*", "~")) is note


def test_no_two_families_of_one_rank_cover_the_same_tag() -> None:
    families = [note.pattern for note in all_notes() if "?" in note.pattern]
    for one, other in combinations(families, 2):
        if one.count("?") == other.count("?") and len(one) == len(other):
            overlap = all("?" in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))
            assert not overlap, (one, other)


def test_case_counts() -> None:
    assert {found(tag).pattern for tag in ("Ntfr", "NtFs", "Ntff", "Ntfs")} == {"Ntfr", "NtFs", "Ntff", "Ntfs"}
    assert find("mmst") is None
    assert found("SmNp").binary == "mrxsmb.sys"
    assert found("smNp").binary != "mrxsmb.sys"


@pytest.mark.parametrize("tag", ["Io", "CM", "Ddk", "Key", "Mdl", "PX1", "BIG", "Job", "Vad"])
def test_trailing_blanks_do_not_count(tag: str) -> None:
    assert find(tag.ljust(4)) is find(tag)
    assert found(tag).pattern.rstrip() == found(tag).pattern


def test_a_question_mark_stands_for_the_blank_at_the_end_of_a_tag() -> None:
    assert found("VM  ").pattern == "VM??"
    assert found("ScD ").pattern == "ScD?"


@pytest.mark.parametrize("tag", ["", "    ", "zzzz", " Ddk", "ThreadX"])
def test_what_no_note_covers_is_none(tag: str) -> None:
    assert find(tag) is None


def test_patterns_are_unique_and_well_formed() -> None:
    patterns = [note.pattern for note in all_notes()]
    assert len(patterns) == len(set(patterns))
    for pattern in patterns:
        assert 1 <= len(pattern) <= 4, pattern
        assert pattern == pattern.rstrip(), pattern
        assert all(0x20 <= ord(character) <= 0x7E for character in pattern), pattern
        assert "*" not in pattern[:-1], pattern


def test_every_note_says_something() -> None:
    for note in all_notes():
        assert note.component.strip(), note.pattern
        assert note.binary != "", note.pattern
        for text in texts(note):
            assert text == text.strip(), note.pattern
            assert text.endswith("."), (note.pattern, text)
            assert text[0].isupper() or text[0] in "`!", (note.pattern, text)
            assert "  " not in text, (note.pattern, text)
            assert text.count("`") % 2 == 0, (note.pattern, text)


def test_every_role_is_used_and_the_telling_ones_stand_where_they_must() -> None:
    assert {note.role for note in all_notes()} == set(Role)
    assert found("None").role is Role.UNTAGGED
    assert {found(tag).role for tag in ("Ddk", "Wdm", "FxDr", "NDam")} == {Role.GENERIC}
    assert {found(tag).role for tag in ("Thre", "Proc", "Toke", "Even", "File", "Key", "Job")} == {Role.OBJECT}
    assert {found(tag).role for tag in ("ObNm", "SeTd", "SeTl", "Obtb")} == {Role.OBJECT_PART}
    assert {found(tag).role for tag in ("MmSt", "Ntff", "MmCa", "CcSc")} == {Role.CACHE}
    assert {found(tag).role for tag in ("MmCm", "Cont")} == {Role.CONTIGUOUS}
    assert {found(tag).role for tag in ("Gh05", "Usac", "Gla5")} == {Role.SESSION}
    assert {found(tag).role for tag in ("CM", "CM31", "CMpb")} == {Role.REGISTRY}


def test_a_tag_that_names_no_driver_names_no_binary() -> None:
    for tag in ("Ddk", "None", "Wdm", "Ifs", "Cont", "MFE0"):
        assert found(tag).binary is None, tag


def test_since_speaks_of_known_windows() -> None:
    assert {note.since for note in all_notes()} <= {None, "Vista", "7", "8"}
    assert found("ALPC").since == "Vista"
    assert found("Port").since is None


def test_mmst_carries_the_remedy_of_32_bit_windows() -> None:
    note = found("MmSt")
    step = note.next_step
    for words in ("PoolUsageMaximum = 60", "PagedPoolSize = 0xFFFFFFFF", "KB312362", "!memusage", "!filecache"):
        assert words in step
    assert r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management" in step
    for words in ("backup", "antivirus", "many big files"):
        assert words in note.growth


def test_ddk_tells_how_to_split_it_and_none_how_to_find_the_importer() -> None:
    ddk = found("Ddk").next_step
    assert "ed nt!PoolHitTag ' kdD'" in ddk
    assert "!verifier 3 driver.sys" in ddk
    assert '!for_each_module s -a @#Base @#End "Ddk "' in ddk
    untagged = found("None").next_step
    assert "x nt!ExAllocatePool" in untagged
    assert "!for_each_module s-d @#Base @#End <address>" in untagged
    assert "!lmi" in untagged


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def runs_of(text: str) -> set[tuple[str, ...]]:
    words = words_of(text)
    return {tuple(words[i : i + COPIED_WORDS]) for i in range(len(words) - COPIED_WORDS + 1)}


@pytest.mark.skipif(not MICROSOFTS_LIST.is_file(), reason="Microsoft's pooltag.txt is not beside the checkout")
def test_no_note_copies_microsofts_list() -> None:
    lines = MICROSOFTS_LIST.read_text(encoding="cp1252", errors="replace").splitlines()
    theirs = {run for line in lines for run in runs_of(line)}
    assert theirs
    for note in all_notes():
        for text in texts(note):
            assert not runs_of(text) & theirs, (note.pattern, text)

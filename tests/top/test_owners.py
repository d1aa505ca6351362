"""Who a tag belongs to: sure where something says so, a hint where it looks like a family, nobody for shared tags."""

import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.machine import System
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import Completeness, PoolKind, TagDescription, TagRow, TagTable
from poolsleuth.top.owners import NOBODY, Owners

PAGED, NONPAGED = PoolKind.PAGED, PoolKind.NONPAGED


def table(*rows: TagRow, session: int | None = None) -> TagTable:
    return TagTable(
        where=Where(0),
        rows=rows,
        pools=frozenset({PAGED}),
        completeness=Completeness.UNKNOWN,
        session=session,
    )


def row(tag: str, description: str | None = None, binary: str | None = None) -> TagRow:
    return TagRow(tag, PAGED, 1, 0, 1, 64, Where(0, 3), description, binary)


def test_our_notes_know_the_tags_of_windows() -> None:
    owner = Owners(System()).of(TagKey("MmSt", PAGED))
    assert owner.driver == "nt!mm"
    assert owner.sure
    assert owner.note is not None
    assert owner.note.startswith("Prototype page table entries")


def test_nobody_is_named_without_a_reason() -> None:
    assert Owners(System()).of(TagKey("Zq9x", NONPAGED)) == NOBODY


def test_a_family_is_a_hint_only() -> None:
    owner = Owners(System()).of(TagKey("CM31", PAGED))
    assert owner.driver == "nt!cm"
    assert not owner.sure
    assert owner.note is not None
    assert owner.note.startswith("looks like CM??")


def test_what_only_sessions_hold_is_meant_in_a_session_only() -> None:
    owners = Owners(System())
    assert owners.of(TagKey("Usb1", PAGED)) == NOBODY
    assert owners.of(TagKey("Usb1", PAGED, 1)).driver == "win32k.sys"
    assert not owners.of(TagKey("Usb1", PAGED, 1)).sure


def test_the_evidence_itself_and_the_users_list() -> None:
    lines = [TagDescription("Zip?", "zip.sys", "unzips"), TagDescription("Abcd", "abc.sys", "letters")]
    owners = Owners(System(), lines, [table(row("Exfl", "Example filter", "exfl.sys"))])
    assert (owners.of(TagKey("Exfl", PAGED)).driver, owners.of(TagKey("Exfl", PAGED)).sure) == ("exfl.sys", True)
    assert owners.of(TagKey("Exfl", PAGED)).note == "Example filter"
    assert (owners.of(TagKey("Zips", PAGED)).driver, owners.of(TagKey("Zips", PAGED)).sure) == ("zip.sys", False)
    assert (owners.of(TagKey("Abcd", PAGED)).driver, owners.of(TagKey("Abcd", PAGED)).sure) == ("abc.sys", True)
    assert owners.row(TagKey("Exfl", PAGED)) == ("Example filter", "exfl.sys")
    assert owners.row(TagKey("Abcd", PAGED)) == (None, None)


@pytest.mark.parametrize("tag", ["None", "Ddk", "MmCm"])
def test_a_shared_tag_names_no_driver_for_sure(tag: str) -> None:
    lines = [TagDescription(tag, "exdrv.sys", "ours, we think")]
    for owners in (Owners(System()), Owners(System(), lines), Owners(System(), (), [table(row(tag, "x", "a.sys"))])):
        owner = owners.of(TagKey(tag, PAGED))
        assert not owner.sure
        assert owner.driver in (None, "exdrv.sys", "a.sys")
        assert owner.note


def test_hostile_tags_are_nobodys() -> None:
    owners = Owners(System())
    for tag in ("", "\x1b[2J", "[/x]", "\u202eab", "*", "????"):
        assert owners.of(TagKey(tag, NONPAGED)).driver is None

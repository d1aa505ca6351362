import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.tags import PoolKind, TagRow
from poolsleuth.patterns.tag_knowledge import family_hint, sure_note


def row(tag: str, binary: str | None = None, pool: PoolKind = PoolKind.NONPAGED) -> TagRow:
    return TagRow(tag, pool, None, None, 1, 100, Where(0, 1), binary=binary)


@pytest.mark.parametrize("tag", ["MmSt", "None", "Ddk", "Thre"])
def test_an_exact_tag_is_known(tag: str) -> None:
    note = sure_note(row(tag))

    assert note is not None
    assert note.pattern == tag


@pytest.mark.parametrize("tag", ["Usbs", "Gdrv", "Grap", "Vm3d", "CMxy", "FMzz", "SmbX"])
def test_a_tag_that_looks_like_a_family_is_nobodys(tag: str) -> None:
    # Third-party tags with Microsoft's prefixes: naming win32k.sys for a USB driver's leak is the worst error
    assert sure_note(row(tag)) is None


@pytest.mark.parametrize("tag", ["Usbs", "Gdrv", "Grap"])
def test_session_families_are_no_hint_for_the_system_pools(tag: str) -> None:
    assert family_hint(row(tag)) is None


def test_a_hint_is_given_where_it_can_be_meant() -> None:
    hint = family_hint(row("CMxy", pool=PoolKind.PAGED))

    assert hint is not None
    assert "registry" in hint.component


def test_the_logs_own_description_confirms_a_family() -> None:
    assert sure_note(row("CMxy", binary="nt!cm")) is not None
    assert sure_note(row("CMxy", binary="cmxdrv.sys")) is None

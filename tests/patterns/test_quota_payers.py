"""The processes that pay for a leaking tag's blocks stand in its finding; nobody is accused by it."""

from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Finding
from poolsleuth.model.pool import QuotaCharge, QuotaCharges
from poolsleuth.model.tags import PoolKind

MB = 1 << 20
Run = Callable[..., Finding]


def charge(paid: int, *, tag: str = "Qz71", pool: PoolKind = PoolKind.NONPAGED, name: str | None = "w3wp.exe") -> Any:
    pid = None if name is None else 4712
    return QuotaCharge(
        process=0xFFFFFA8001234560, pid=pid, name=name, pool=pool, blocks=9, bytes=900 * MB, tags=((tag, paid),)
    )


def charges(*rows: QuotaCharge) -> QuotaCharges:
    return QuotaCharges(
        where=Where(0), rows=rows, processes=len(rows), blocks=9, bytes=9, unknown_blocks=0, complete=True
    )


@pytest.fixture
def leak(finding: Run, row: Callable[..., Any], table: Callable[..., Any]) -> Run:
    def judge(*facts: Any, tag: str = "Qz71", pattern: str = "pool-leak", blocks: int = 110_000) -> Finding:
        rows = table(row(tag, bytes=300 * MB, outstanding=blocks, allocs=blocks + 10, frees=10), complete=True)
        return finding(pattern, rows, *facts)

    return judge


def paying(found: Finding) -> list[str]:
    return [reason.says for reason in found.because if "quota" in reason.says]


def test_who_pays_for_a_good_part_is_told(leak: Run) -> None:
    found = leak(charges(charge(240 * MB)))
    (says,) = paying(found)
    assert says.startswith("80.0 % of the bytes of tag Qz71 (240.0 MB) are charged to the quota of w3wp.exe (pid 4712)")
    assert "`!process 0xfffffa8001234560 0` shows the process that pays" in found.next_steps
    without = leak()
    assert (found.subject, found.verdict, found.confidence) == (without.subject, without.verdict, without.confidence)


def test_a_process_that_is_gone_is_told_by_its_address(leak: Run) -> None:
    (says,) = paying(leak(charges(charge(240 * MB, name=None))))
    assert "the process at 0xfffffa8001234560, which is in no list of processes any more" in says


@pytest.mark.parametrize(
    "other",
    [charge(74 * MB), charge(240 * MB, tag="Qz72"), charge(240 * MB, pool=PoolKind.PAGED)],
    ids=["small part", "another tag", "another pool"],
)
def test_a_small_part_another_tag_or_pool_says_nothing(leak: Run, other: QuotaCharge) -> None:
    assert leak(charges(other)) == leak()


def test_the_most_comes_first_and_the_last_dump_counts(leak: Run) -> None:
    rows = (charge(90 * MB, name="a.exe"), charge(200 * MB, name="b.exe"))
    says = paying(leak(charges(charge(240 * MB)), charges(*rows)))
    assert [text.partition("quota of ")[2].split(" ")[0] for text in says] == ["b.exe", "a.exe"]


def test_objects_too(leak: Run) -> None:
    assert paying(leak(charges(charge(240 * MB, tag="Thre")), tag="Thre", pattern="handle-leak"))

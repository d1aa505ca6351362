"""When each output was captured, by the banners of its log."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.fusion.times import dated, in_time_order
from poolsleuth.model.facts import Fact, Where
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import TagTable

Build = Callable[..., Fact]
NOON = datetime(2020, 3, 3, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=3)


def test_a_banner_speaks_for_what_follows_it(vm: Build, tags: Build, target: Build) -> None:
    facts = [target(captured_at=NOON), vm(line=5), target(captured_at=LATER, line=9), vm(line=10), tags("Ddk", line=11)]
    assert [f.at for f in dated(facts)] == [None, NOON, None, LATER, LATER]


def test_what_stands_before_the_first_banner_belongs_to_it(vm: Build, target: Build) -> None:
    assert [f.at for f in dated([vm(), target(captured_at=NOON)])] == [NOON, None]


def test_a_time_of_its_own_is_kept(vm: Build, target: Build) -> None:
    assert [f.at for f in dated([target(captured_at=NOON), vm(at=LATER)])] == [None, LATER]


def test_a_banner_speaks_for_its_own_input_only(vm: Build, target: Build) -> None:
    facts = [target(captured_at=NOON), vm(input=0), vm(input=1)]
    assert [f.at for f in dated(facts)] == [None, NOON, None]


def test_a_banner_without_a_time_says_nothing(vm: Build, target: Build) -> None:
    facts = [target(captured_at=NOON), target(computer="SRV"), vm()]
    assert [f.at for f in dated(facts)] == [None, None, NOON]
    assert [f.at for f in dated([target(computer="SRV"), vm()])] == [None, None]


def test_captures_come_in_the_order_of_time(vm: Build, tags: Build, target: Build) -> None:
    late, early = vm(input=0, at=LATER), vm(input=1, at=NOON)
    banner, table = target(input=1), tags("Ddk", input=1, at=NOON)
    ordered = in_time_order([late, early, banner, table])
    assert ordered == [early, banner, table, late]


def test_one_capture_without_a_time_leaves_all_as_given(vm: Build) -> None:
    facts = [vm(input=0, at=LATER), vm(input=1, at=NOON), vm(input=2)]
    assert in_time_order(facts) == facts
    assert in_time_order([]) == []


def test_other_facts_never_decide(vm: Build, target: Build) -> None:
    facts = [target(input=2), vm(input=0, at=LATER), vm(input=1, at=NOON)]
    assert in_time_order(facts)[-1] == facts[1]
    assert in_time_order([target(), target(input=1)]) == [target(), target(input=1)]


_TIMES = st.none() | st.datetimes(timezones=st.just(UTC))


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), _TIMES), max_size=15))
def test_nothing_is_lost_or_made_up(given_: list[tuple[int, bool, datetime | None]]) -> None:
    facts: list[Fact] = [
        TargetInfo(where=Where(i, n), captured_at=at) if banner else MemoryCounters(where=Where(i, n), at=at)
        for n, (i, banner, at) in enumerate(given_)
    ]
    found = in_time_order(dated(facts))
    assert sorted(f.where.line or 0 for f in found) == list(range(len(facts)))
    captures = [f.at for f in found if isinstance(f, MemoryCounters | TagTable)]
    known = [at for at in captures if at is not None]
    assert None in captures or known == sorted(known)

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations

from poolsleuth.fusion.machines import MAX_MACHINES, assemble
from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.memory import MemoryCounters, SessionMemory, VmFamily
from poolsleuth.model.system import BugCheck, EventText, LockSummary, TargetInfo
from poolsleuth.model.tags import TagDescription, TagDescriptions, TagTable

Vm = Callable[..., MemoryCounters]
Tags = Callable[..., TagTable]
Target = Callable[..., TargetInfo]

PAGE, KB, MB, GB = 4096, 1 << 10, 1 << 20, 1 << 30


def lines(machines: tuple[object, ...]) -> list[list[int | None]]:
    """Which lines became which machine."""
    return [[fact.where.line for fact in machine.facts] for machine in machines]  # type: ignore[attr-defined]


def test_six_computers_of_one_article(vm: Vm, tags: Tags) -> None:
    # The workstation's prompt is lost: only its tags, which earlier Windows does not use, keep it apart
    limit = SessionMemory(
        where=Where(0, 41), paged_limit=Figure(32768 * KB, Where(0, 41)), view_limit=None, sessions=()
    )
    facts = [
        tags("EtwB", "ViMm", line=10),
        vm(family=VmFamily.XP_2003, physical=1572637 * PAGE, nonpaged_max=65215 * PAGE, line=40),
        limit,
        vm(family=VmFamily.W2K, physical=511881 * PAGE, nonpaged_max=68537 * PAGE, line=60),
        vm(family=VmFamily.XP_2003, physical=4193696 * PAGE, nonpaged_max=65215 * PAGE, line=80),
        tags("MmSt", "Ntff", line=90),
        vm(family=VmFamily.XP_2003, physical=851775 * PAGE, nonpaged_max=64640 * PAGE, line=100),
        tags("Ddk", "MmCm", line=110),
        vm(family=VmFamily.W2K, physical=786299 * PAGE, nonpaged_max=70145 * PAGE, line=120),
        tags("CM", "MyAV", line=130),
    ]

    machines = assemble([facts])

    assert lines(machines) == [[10], [40, 41], [60], [80, 90], [100, 110], [120, 130]]
    assert [m.system.os for m in machines] == [
        "Windows Vista or later",
        "Windows Server 2003",
        "Windows 2000",
        "Windows Server 2003",
        "Windows XP or Server 2003",
        "Windows 2000",
    ]


def test_two_captures_of_one_machine(vm: Vm) -> None:
    first = vm(physical=4 * GB, nonpaged_max=256 * MB, nonpaged_used=MB, line=1)
    second = vm(physical=4 * GB, nonpaged_max=256 * MB, nonpaged_used=9 * MB, line=50)

    (machine,) = assemble([[first, second]])

    assert machine.latest(MemoryCounters) == second
    assert len(machine.facts) == 2


def test_returning_to_an_earlier_machine(vm: Vm, tags: Tags) -> None:
    facts = [
        vm(physical=4 * GB, line=1),
        vm(physical=8 * GB, line=20),
        vm(physical=4 * GB, nonpaged_used=MB, line=40),
        tags("Ddk", line=50),
    ]

    assert lines(assemble([facts])) == [[1, 40, 50], [20]]


def test_nothing_returns_by_absence_of_conflict_alone(vm: Vm, tags: Tags) -> None:
    # The table of a later Windows cannot be of the second machine; nothing says that it is the first one's
    facts = [
        vm(physical=16 * GB, line=1),
        vm(family=VmFamily.W2K, physical=2 * GB, nonpaged_max=256 * MB, line=20),
        tags("EtwB", "ViMm", line=40),
    ]

    assert lines(assemble([facts])) == [[1], [20], [40]]


def test_several_inputs_of_one_machine(vm: Vm, tags: Tags) -> None:
    inputs: list[list[Fact]] = [
        [vm(physical=4 * GB, input=0)],
        [tags("Ddk", input=1)],
        [vm(physical=4 * GB, line=9, input=2)],
    ]

    (machine,) = assemble(inputs)

    assert machine.inputs == (0, 1, 2)
    assert machine.system.physical_bytes == 4 * GB


def test_two_logs_of_two_machines(vm: Vm) -> None:
    machines = assemble([[vm(physical=4 * GB, input=0)], [vm(physical=8 * GB, input=1)]])

    assert [m.inputs for m in machines] == [(0,), (1,)]


def test_a_loose_table_beside_two_machines_is_nobodys(vm: Vm, tags: Tags) -> None:
    inputs: list[list[Fact]] = [[vm(physical=4 * GB, input=0)], [vm(physical=8 * GB, input=1)], [tags("Ddk", input=2)]]

    assert [m.inputs for m in assemble(inputs)] == [(0,), (1,), (2,)]


def test_a_log_of_two_machines_is_not_mixed_with_another_log(vm: Vm, tags: Tags) -> None:
    inputs: list[list[Fact]] = [
        [tags("Abcd", input=0)],
        [vm(physical=4 * GB, input=1), vm(physical=8 * GB, line=30, input=1)],
    ]

    assert [m.inputs for m in assemble(inputs)] == [(0,), (1,), (1,)]


def test_the_live_machine_and_its_dump_are_one(target: Target) -> None:
    live = target(computer="SRV1", live=True, input=0)
    dump = target(computer="srv1", live=False, input=1)

    assert len(assemble([[live], [dump]])) == 1


def test_one_log_with_another_target_is_two(target: Target) -> None:
    facts = [target(computer="SRV1"), LockSummary(where=Where(0, 5), total=1, held=0), target(computer="SRV2", line=9)]

    assert lines(assemble([facts])) == [[1, 5], [9]]


def test_an_interrupted_vm_is_joined(vm: Vm) -> None:
    first = vm(family=VmFamily.XP_2003, physical=4 * GB, nonpaged_used=MB, nonpaged_max=256 * MB, line=1)
    rest = vm(paged_used=2 * MB, paged_max=300 * MB, committed=GB, line=30)

    (machine,) = assemble([[first, LockSummary(where=Where(0, 20), total=1, held=0), rest]])

    joined = machine.latest(MemoryCounters)
    assert joined is not None
    assert (joined.where.line, joined.family) == (1, VmFamily.XP_2003)
    assert joined.nonpaged_used == first.nonpaged_used
    assert joined.paged_used == rest.paged_used
    assert len(machine.facts) == 2


def test_a_second_capture_is_not_joined(vm: Vm) -> None:
    first = vm(physical=4 * GB, nonpaged_used=MB, line=1)

    assert lines(assemble([[first, vm(nonpaged_used=2 * MB, line=30)]])) == [[1, 30]]
    assert lines(assemble([[first, vm(physical=4 * GB, paged_used=2 * MB, line=30)]])) == [[1, 30]]


def test_pieces_in_two_files_are_not_joined(vm: Vm) -> None:
    machines = assemble([[vm(physical=4 * GB, nonpaged_used=MB)], [vm(paged_used=MB, input=1)]])

    assert [len(m.facts) for m in machines] == [2]


def test_a_bug_check_told_twice_is_one(vm: Vm) -> None:
    first = BugCheck(where=Where(0, 1), code=0x19, parameters=(0x20, 1, 2, 3))
    analysed = BugCheck(where=Where(0, 9), code=0x19, image="driver.sys")

    (machine,) = assemble([[first, analysed]])

    assert machine.system.bugcheck is not None
    assert machine.system.bugcheck.parameters == (0x20, 1, 2, 3)
    assert machine.system.bugcheck.image == "driver.sys"


def test_two_crashes_are_not_one(vm: Vm) -> None:
    first = BugCheck(where=Where(0, 1), code=0x19, parameters=(0x20, 1, 2, 3))
    second = BugCheck(where=Where(0, 9), code=0xD1)

    (machine,) = assemble([[first, second]])

    assert len(machine.facts) == 2
    assert machine.system.bugcheck == second


def test_descriptions_belong_to_no_machine(vm: Vm) -> None:
    listed = TagDescriptions(where=Where(1, 1), entries=(TagDescription("Abcd", "a.sys", "A"),))

    assert [m.inputs for m in assemble([[vm(physical=GB)], [listed]])] == [(0,)]
    assert assemble([[listed]]) == ()
    assert assemble([]) == ()
    assert assemble([[]]) == ()


def test_the_order_of_inputs_decides_nothing(vm: Vm, tags: Tags) -> None:
    a, b, loose = vm(physical=4 * GB, input=0), vm(physical=8 * GB, input=1), tags("Ddk", input=2)

    inputs: list[list[Fact]] = [[a], [b], [loose]]
    for order in permutations(inputs):
        assert sorted(len(m.facts) for m in assemble(order)) == [1, 1, 1]


def test_an_input_may_join_two_others(vm: Vm, target: Target) -> None:
    inputs: list[list[Fact]] = [
        [target(computer="SRV1", input=0)],
        [target(computer="srv1.example.com", input=1), vm(physical=4 * GB, input=1)],
        [vm(physical=4 * GB, input=2)],
        [vm(physical=8 * GB, input=3)],
    ]
    for order in permutations(inputs):
        assert sorted(m.inputs for m in assemble(order)) == [(0, 1, 2), (3,)]


def test_captures_stand_in_the_order_of_their_times(vm: Vm, target: Target) -> None:
    monday = [target(captured_at=datetime(2024, 3, 4, tzinfo=UTC), input=1), vm(physical=4 * GB, input=1, line=5)]
    tuesday = [target(captured_at=datetime(2024, 3, 5, tzinfo=UTC), input=0), vm(physical=4 * GB, input=0, line=7)]

    (machine,) = assemble([tuesday, monday])
    last = machine.latest(MemoryCounters)

    assert last is not None
    assert last.where.line == 7


def test_an_event_of_another_computer_is_another_machine(vm: Vm, target: Target) -> None:
    event = EventText(where=Where(0, 60), event_id=2019, says="nonpaged pool was empty", computer="SRV2")

    machines = assemble([[target(computer="SRV1"), vm(physical=4 * GB, line=9), event]])

    assert [len(m.facts) for m in machines] == [2, 1]


def test_a_hostile_number_of_machines_is_bounded(vm: Vm) -> None:
    facts = [vm(physical=GB + n * 4096, line=n) for n in range(3 * MAX_MACHINES)]

    assert len(assemble([facts])) == MAX_MACHINES


def test_a_banner_outranks_a_layout(vm: Vm, target: Target) -> None:
    vista = target(build=6002, architecture="x86")

    (machine,) = assemble([[vista, vm(family=VmFamily.XP_2003, physical=3 * GB, line=4)]])

    assert machine.system.os is not None
    assert "Vista" in machine.system.os


def test_the_debuggers_own_machine_is_one_however_often_the_log_returns(vm: Vm, tags: Tags) -> None:
    facts = [
        tags("Abcd", live=True, line=1),
        vm(physical=4 * GB, live=False, line=10),
        tags("Abcd", live=True, line=20),
    ]

    assert lines(assemble([facts])) == [[1, 20], [10]]

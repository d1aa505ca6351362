"""Logs of whole objects: titles, instances, parents, raw pairs of each clock, hosts, damage inside an object."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from poolsleuth.windows.counters import english_of

if TYPE_CHECKING:
    from evidence.counters.blg.conftest import Count, Instance, Reading, Writer

Read = Callable[..., "Reading"]
MakeCount = Callable[..., "Count"]
MakeInstance = Callable[..., "Instance"]

START = 1_700_000_000
TITLES = {2: "System", 4: "Memory", 230: "Process", 232: "Thread", 58: "Pool Nonpaged Bytes", 952: "Handle Count"}
FREQUENCY = 1_000_000


def test_an_object_without_instances(blg: "Writer", read: Read, make_count: MakeCount) -> None:
    memory = [make_count(58), make_count(56, size=4)]
    log = read(
        blg.log(
            blg.titles(TITLES | {56: "Pool Paged Bytes"}),
            blg.counters(blg.whole("Memory")),
            *(blg.sample(START + n, blg.objects(blg.object(4, memory, [n << 33, 0xFFFFFFF0 + n]))) for n in range(3)),
        )
    )

    assert log.values("\\\\SRV\\Memory\\Pool Nonpaged Bytes") == [0, 1 << 33, 2 << 33]
    assert log.values("\\\\SRV\\Memory\\Pool Paged Bytes") == [0xFFFFFFF0, 0xFFFFFFF1, 0xFFFFFFF2]
    assert log.problems == []


@pytest.mark.parametrize(
    ("type_", "following", "values", "expected"),
    [
        # Clock by the type's bits: 2 s of the performance counter, of 100 ns, of the object's own clock
        (0x10410400, None, (10, 0, 30, 0), 10.0),
        (0x20510500, None, (0, 0, 5_000_000, 0), 25.0),
        (0x20610500, None, (0, 0, 100, 0), 50.0),
        (0x30240500, None, (0, 0, 0, 0), 2.0),
        # The counter that follows is the other half
        (0x20020400, 0x40030403, (1, 4, 3, 4), 75.0),
        (0x20570500, 0x40030500, (100, 1000, 150, 1200), 25.0),
        (0x30020400, 0x40030402, (0, 0, 4 * FREQUENCY, 8), 0.5),
        (0x40020500, 0x40030402, (0, 0, 800, 8), 100.0),
        (0x22410500, 0x42030500, (0, 4, FREQUENCY, 4), 12.5),
    ],
)
def test_raw_pairs(
    blg: "Writer",
    read: Read,
    make_count: MakeCount,
    type_: int,
    following: int | None,
    values: tuple[int, int, int, int],
    expected: float,
) -> None:
    counters = [make_count(100, type_), make_count(100, following if following is not None else 0x40030500)]

    def sample(n: int) -> bytes:
        one = blg.object(2, counters, values[2 * n : 2 * n + 2], time=200 * n, frequency=100)
        return blg.objects(one, time=2 * FREQUENCY * n, utc=START + 2 * n)

    log = read(
        blg.log(
            blg.titles(TITLES | {100: "C"}),
            blg.counters(blg.whole("System")),
            *(blg.sample(START + 2 * n, sample(n)) for n in range(2)),
        )
    )

    assert log.paths == ["\\\\SRV\\System\\C"]  # the base is not listed
    assert log.values("\\\\SRV\\System\\C")[1] == pytest.approx(expected)


def test_processes_come_go_and_share_names(
    blg: "Writer", read: Read, make_count: MakeCount, make_instance: MakeInstance
) -> None:
    def processes(*named: tuple[str, int]) -> bytes:
        return blg.objects(
            blg.object(230, [make_count(952, size=4)], [make_instance(name, [value]) for name, value in named])
        )

    log = read(
        blg.log(
            blg.titles(TITLES),
            blg.counters(blg.whole("Process")),
            blg.sample(START, processes(("svchost", 1), ("lsass", 2), ("svchost", 3))),
            blg.sample(START + 1, processes(("svchost", 4), ("lsass", 5), ("svchost", 6))),
            blg.sample(START + 2, processes(("svchost", 7), ("svchost", 8), ("svchost", 9))),
        )
    )

    assert {path: log.values(path) for path in log.paths} == {
        "\\\\SRV\\Process(svchost)\\Handle Count": [1, 4, 7],
        "\\\\SRV\\Process(lsass)\\Handle Count": [2, 5, None],
        "\\\\SRV\\Process(svchost#1)\\Handle Count": [3, 6, 8],
        "\\\\SRV\\Process(svchost#2)\\Handle Count": [None, None, 9],
    }
    assert log.reader.series == 4


def test_threads_stand_under_their_process_which_was_not_asked_for(
    blg: "Writer", read: Read, make_count: MakeCount, make_instance: MakeInstance
) -> None:
    threads = blg.object(
        232,
        [make_count(100)],
        [make_instance("0", [1], (230, 0)), make_instance("0", [2], (230, 1)), make_instance("1", [3], (230, 9))],
    )
    processes = blg.object(230, [make_count(952)], [make_instance("svc", [1]), make_instance("svc", [2])])
    log = read(
        blg.log(
            blg.titles(TITLES | {100: "C"}),
            blg.counters(blg.whole("Thread")),
            blg.sample(START, blg.objects(threads, processes)),
        )
    )

    assert log.table[0][1] == {
        "\\\\SRV\\Thread(svc/0)\\C": 1,
        "\\\\SRV\\Thread(svc/0#1)\\C": 2,
        "\\\\SRV\\Thread(1)\\C": 3,
    }


def test_names_of_instances_in_a_code_page_and_by_number(
    blg: "Writer", read: Read, make_count: MakeCount, make_instance: MakeInstance
) -> None:
    def one(name: str, page: int, unique: int = -1) -> bytes:
        return blg.object(230, [make_count(952)], [make_instance(name, [1], unique=unique)], code_page=page)

    log = read(
        blg.log(
            blg.titles(TITLES),
            blg.counters(*[blg.whole("Process")] * 3),
            blg.sample(
                START, *(blg.objects(part) for part in (one("größe", 1252), one("служба", 1251), one("", 0, 77)))
            ),
        )
    )

    assert [path.instance for path in log.reader.columns] == ["größe", "служба", "77"]


def test_several_machines(blg: "Writer", read: Read, make_count: MakeCount) -> None:
    memory = [make_count(58)]
    log = read(
        blg.log(
            blg.titles(TITLES, "ALPHA"),
            blg.titles({4: "Arbeitsspeicher", 58: "Nicht-Auslagerungsseiten (Bytes)"}, "BETA"),
            blg.counters(blg.whole("Memory", "ALPHA"), blg.whole("Arbeitsspeicher", "BETA")),
            blg.sample(
                START,
                blg.objects(blg.object(4, memory, [1]), host="ALPHA"),
                blg.objects(blg.object(4, memory, [2]), host="BETA"),
            ),
        )
    )

    assert log.table[0][1] == {
        "\\\\ALPHA\\Memory\\Pool Nonpaged Bytes": 1,
        "\\\\BETA\\Arbeitsspeicher\\Nicht-Auslagerungsseiten (Bytes)": 2,
    }
    assert log.reader.facts == []  # the header speaks of one of them, and nothing says of which


def test_without_titles_the_counters_of_the_diagnosis_keep_their_names(
    blg: "Writer", read: Read, make_count: MakeCount
) -> None:
    log = read(blg.log(blg.sample(START, blg.objects(blg.object(4, [make_count(58), make_count(5000)], [1, 2])))))

    assert log.paths == ["\\\\SRV\\Memory\\Pool Nonpaged Bytes", "\\\\SRV\\Memory\\5000"]
    assert log.problems == ["1 name could not be found in the log's list of names, and is shown as a number (5000)"]


def test_titles_that_come_later_are_looked_for(blg: "Writer", read: Read, make_count: MakeCount) -> None:
    block = blg.objects(blg.object(4, [make_count(5000)], [1]))
    log = read(blg.log(blg.sample(START, block), blg.sample(START + 1, block), blg.titles({4: "Memory", 5000: "New"})))

    assert log.paths == ["\\\\SRV\\Memory\\New"]
    assert log.problems == []


def test_an_unknown_type_in_an_object(
    blg: "Writer", read: Read, make_count: MakeCount, make_instance: MakeInstance
) -> None:
    counters = [make_count(952, 0x12345500), make_count(58)]
    block = blg.objects(blg.object(230, counters, [make_instance("a", [1, 2]), make_instance("b", [3, 4])]))
    log = read(
        blg.log(
            blg.titles(TITLES),
            blg.counters(blg.whole("Process")),
            blg.sample(START, block),
            blg.sample(START + 1, block),
        )
    )

    assert log.paths == ["\\\\SRV\\Process(a)\\Pool Nonpaged Bytes", "\\\\SRV\\Process(b)\\Pool Nonpaged Bytes"]
    assert log.problems == ["2 counters could not be shown: the counter type is not known (0x12345500)"]


def test_a_damaged_object_costs_itself_only(
    blg: "Writer", read: Read, make_count: MakeCount, make_instance: MakeInstance
) -> None:
    process = blg.object(230, [make_count(952)], [make_instance("abc", [1]), make_instance("def", [2])])
    whole = blg.objects(process)
    # The length of the first instance (24 bytes and a name of 8) is 0: where the next begins is not known
    endless = blg.objects(process.replace((24 + 8).to_bytes(4, "little"), b"\0" * 4))
    memory = blg.objects(blg.object(4, [make_count(58)], [7]))
    log = read(
        blg.log(
            blg.titles(TITLES),
            blg.counters(blg.whole("Process"), blg.whole("Memory")),
            blg.sample(START, whole, memory),
            blg.sample(START + 1, endless, memory),
            blg.sample(START + 2, whole, memory),
        )
    )

    assert log.values("\\\\SRV\\Memory\\Pool Nonpaged Bytes") == [7, 7, 7]
    assert log.values("\\\\SRV\\Process(abc)\\Handle Count") == [1, None, 1]
    assert log.problems == ["1 performance object could not be read: the log is damaged"]


def test_a_definition_cannot_make_thousands_of_counters_from_each_byte(
    blg: "Writer", read: Read, make_count: MakeCount, make_instance: MakeInstance
) -> None:
    counters = [make_count(952, offset=8) for _ in range(2000)]
    hostile = blg.object(230, counters, [make_instance(f"p{n}", [1] * 2000) for n in range(50)])
    log = read(blg.log(blg.titles(TITLES), blg.counters(blg.whole("Process")), blg.sample(START, blg.objects(hostile))))

    assert log.reader.series == 0
    assert log.problems == ["50 performance objects could not be read: the log is damaged"]


def test_names_in_another_language_are_known_by_their_numbers(blg: "Writer", read: Read, make_count: MakeCount) -> None:
    # A language of which no list of ours knows a word: the numbers of objects and counters are the same everywhere
    log = read(
        blg.log(
            blg.titles({4: "\u30e1\u30e2\u30ea", 58: "\u975e\u30da\u30fc\u30b8", 9999: "\u8ffd\u52a0"}),
            blg.counters(blg.whole("Memory")),
            *(
                blg.sample(START + n, blg.objects(blg.object(4, [make_count(58), make_count(9999)], [n << 20, n])))
                for n in range(3)
            ),
        )
    )

    paths = {path.text: path.english for path in log.reader.columns}
    assert paths == {
        "\\\\SRV\\\u30e1\u30e2\u30ea\\\u975e\u30da\u30fc\u30b8": ("memory", "pool nonpaged bytes"),
        "\\\\SRV\\\u30e1\u30e2\u30ea\\\u8ffd\u52a0": None,
    }
    assert english_of(log.reader.columns[0]) == ("memory", "pool nonpaged bytes")

"""Logs that list their counters: one value each, or the instances of a wildcard; error statuses."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evidence.counters.blg.conftest import Reading, Writer

Read = Callable[..., "Reading"]

START = 1_700_000_000
RATE, RAW = 0x10410400, 0x00010000
NO_MACHINE = 0x800007D0  # PDH_CSTATUS_NO_MACHINE
C = "\\\\SRV\\Memory\\C"


def test_paths_of_every_shape(blg: "Writer", read: Read) -> None:
    entries = (
        blg.entry("C", host="OTHER"),
        blg.entry("C", host=""),
        blg.entry("C", object_="Process", instance="a", index=2),
        blg.entry("C", object_="Thread", instance="0", parent="svchost", index=1),
        blg.entry("C", object_="Disk", instance=""),
    )
    log = read(blg.log(blg.counters(*entries), blg.sample(START, *(blg.value(n) for n in range(5)))))

    assert log.paths == [
        "\\\\OTHER\\Memory\\C",
        "\\Memory\\C",
        "\\\\SRV\\Process(a#2)\\C",
        "\\\\SRV\\Thread(svchost/0#1)\\C",
        "\\\\SRV\\Disk()\\C",
    ]
    assert log.rows[0].cells == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}


def test_an_error_status_and_the_sample_after_it_are_blank(blg: "Writer", read: Read) -> None:
    statuses = (0, 1, NO_MACHINE, 0, 0)
    log = read(
        blg.log(
            blg.counters(blg.entry("C", RATE), blg.entry("R", RAW)),
            *(
                blg.sample(
                    START + n,
                    blg.value(n * 10, n * 1_000_000, status=status),
                    blg.value(n, status=status),
                )
                for n, status in enumerate(statuses)
            ),
        )
    )

    assert log.values(C) == [None, 10, None, None, 10]
    assert log.values("\\\\SRV\\Memory\\R") == [0, 1, None, 3, 4]
    assert log.problems == [
        "2 values could not be collected when the log was recorded: Windows noted an error (0x800007D0)"
    ]


def test_instances_come_and_go(blg: "Writer", read: Read) -> None:
    def at(n: int, *names: str) -> bytes:
        return blg.instances([(name, n * 10, n * 1_000_000) for name in names])

    log = read(
        blg.log(
            blg.counters(blg.entry("R", RATE, object_="P", instance="*", flags=1)),
            blg.sample(START, at(0, "a", "b")),
            blg.sample(START + 1, at(1, "a", "b", "c")),
            blg.sample(START + 2, at(2, "c", "a")),
            blg.sample(START + 3, at(3, "b", "a")),
            blg.sample(START + 4, at(4, "b", "a")),
        )
    )

    assert log.paths == ["\\\\SRV\\P(a)\\R", "\\\\SRV\\P(b)\\R", "\\\\SRV\\P(c)\\R"]
    assert log.values("\\\\SRV\\P(a)\\R") == [None, 10, 10, 10, 10]
    # Gone for one sample: the first one after it has none just before
    assert log.values("\\\\SRV\\P(b)\\R") == [None, 10, None, None, 10]
    assert log.values("\\\\SRV\\P(c)\\R") == [None, None, 10, None, None]
    assert log.problems == []


def test_instances_of_one_name_are_numbered(blg: "Writer", read: Read) -> None:
    log = read(
        blg.log(
            blg.counters(blg.entry("R", RAW, object_="P", instance="*", parent="x", flags=1)),
            blg.sample(START, blg.instances([("svc", 1, 0), ("y/svc", 2, 0), ("svc", 3, 0), ("svc", 4, 0)])),
        )
    )

    assert log.table == [
        (
            START,
            {
                "\\\\SRV\\P(x/svc)\\R": 1,
                "\\\\SRV\\P(y/svc)\\R": 2,
                "\\\\SRV\\P(x/svc#1)\\R": 3,
                "\\\\SRV\\P(x/svc#2)\\R": 4,
            },
        )
    ]


def test_no_instances_and_an_error_for_all_of_them(blg: "Writer", read: Read) -> None:
    log = read(
        blg.log(
            blg.counters(blg.entry("R", RAW, object_="P", instance="*", flags=1)),
            blg.sample(START, blg.instances([])),
            blg.sample(START + 1, blg.instances([("a", 0, 0)], status=NO_MACHINE)),
            blg.sample(START + 2, blg.instances([("a", 5, 0)])),
        )
    )

    assert log.values("\\\\SRV\\P(a)\\R") == [None, None, 5]
    assert log.problems == [
        "1 value could not be collected when the log was recorded: Windows noted an error (0x800007D0)"
    ]


def test_unknown_kinds_are_skipped_by_their_length(blg: "Writer", read: Read) -> None:
    strange = b"\x42\x4c\x03\x07\x10\x00\x00\x00abcdefgh"
    log = read(
        blg.log(
            blg.counters(blg.entry("A"), blg.entry("B"), blg.entry("C")),
            *(blg.sample(START + n, blg.value(1), strange, blg.value(3)) for n in range(4)),
        )
    )

    assert [row.cells for row in log.rows] == [{0: 1, 1: 3}] * 4
    assert log.paths == ["\\\\SRV\\Memory\\A", "\\\\SRV\\Memory\\C"]
    assert log.problems == ["4 blocks of values could not be read: of a kind that is not known (0x0703)"]


def test_a_new_list_of_counters_is_in_force_from_there_on(blg: "Writer", read: Read) -> None:
    log = read(
        blg.log(
            blg.counters(blg.entry("A")),
            blg.sample(START, blg.value(1)),
            blg.counters(blg.entry("B"), blg.entry("A"), time=START + 1),
            blg.sample(START + 1, blg.value(2), blg.value(3)),
        )
    )

    assert log.values("\\\\SRV\\Memory\\A") == [1, 3]
    assert log.values("\\\\SRV\\Memory\\B") == [None, 2]


def test_thousands_of_counters_of_which_one_is_wanted(blg: "Writer", read: Read) -> None:
    asked: list[str] = []

    def wanted(path: object) -> bool:
        asked.append(str(path))
        return "C777" in str(path)

    entries = [blg.entry(f"C{n}", RAW) for n in range(2000)]
    blocks = [blg.value(n) for n in range(2000)]
    log = read(blg.log(blg.counters(*entries), *(blg.sample(START + n, *blocks) for n in range(3))), wanted)

    assert log.paths == ["\\\\SRV\\Memory\\C777"]
    assert [row.cells for row in log.rows] == [{0: 777}] * 3
    assert (log.reader.series, len(asked)) == (2000, 2000)

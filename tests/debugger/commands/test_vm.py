"""``!vm`` in the layouts of real outputs: same rows, same columns."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from poolsleuth.debugger.commands import vm
from poolsleuth.debugger.target import Target
from poolsleuth.kernel.memory_counters.figures import KernelFigure, KernelMemoryCounters, Unit
from poolsleuth.kernel.page_files import KernelPageFile
from poolsleuth.model.memory import VmFamily

PAGE = 4096
KB = 1024
Run = Callable[..., list[str]]


def pages(count: int) -> KernelFigure:
    return KernelFigure(count * PAGE, Unit.BYTES, 0x1000, "x")


def page_file(name: str | None, current: int, free: int, minimum: int, maximum: int) -> KernelPageFile:
    return KernelPageFile(0, name, current * KB, free * KB, minimum * KB, maximum * KB, None, None)


@pytest.fixture
def printed(target_of: Callable[..., Target], monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    target = target_of("3790-x86")

    def lines(counters: KernelMemoryCounters) -> list[str]:
        monkeypatch.setattr(vm, "read_memory_counters", lambda *_: counters)
        (command,) = vm.COMMANDS
        match = command.name.match("!vm")
        assert match is not None
        return list(command.run(target, match, ""))

    return lines


def test_server_2003(printed: Callable[..., list[str]]) -> None:
    """Rows of a real !vm of Server 2003, as its debugger printed them."""
    counters = KernelMemoryCounters(
        family=VmFamily.XP_2003,
        physical=pages(851775),
        available=pages(147274),
        resident_available=pages(769287),
        free_system_ptes=KernelFigure(184910, Unit.COUNT, 0, "x"),
        nonpaged_used=pages(64445),
        nonpaged_max=pages(64640),
        paged_pools=(pages(21912), pages(691)),
        paged_used=pages(24721),
        paged_max=pages(134144),
        pool_failures=KernelFigure(429, Unit.COUNT, 0, "x"),
        committed=pages(646282),
        commit_limit=pages(1860990),
        page_files=(page_file(r"\??\C:\pagefile.sys", 4190208, 4175708, 4190208, 4190208),),
    )
    assert "\n".join(printed(counters)) == "\n".join(
        [
            "*** Virtual Memory Usage ***",
            "      Physical Memory:      851775 (   3407100 Kb)",
            r"      Page File: \??\C:\pagefile.sys",
            "        Current:   4190208 Kb  Free Space:   4175708 Kb",
            "        Minimum:   4190208 Kb  Maximum:      4190208 Kb",
            "      Available Pages:      147274 (    589096 Kb)",
            "      ResAvail Pages:       769287 (   3077148 Kb)",
            "      Free System PTEs:     184910 (    739640 Kb)",
            "      NonPagedPool Usage:    64445 (    257780 Kb)",
            "      NonPagedPool Max:      64640 (    258560 Kb)",
            "      ********** Excessive NonPaged Pool Usage *****",
            "      PagedPool 0 Usage:     21912 (     87648 Kb)",
            "      PagedPool 1 Usage:       691 (      2764 Kb)",
            "      PagedPool Usage:       24721 (     98884 Kb)",
            "      PagedPool Maximum:    134144 (    536576 Kb)",
            "",
            "      ********** 429 pool allocations have failed **********",
            "",
            "      Committed pages:      646282 (   2585128 Kb)",
            "      Commit limit:        1860990 (   7443960 Kb)",
        ]
    )


def test_windows_2000(printed: Callable[..., list[str]]) -> None:
    """The same of Windows 2000: units are glued, free PTEs stand behind the special pool."""
    counters = KernelMemoryCounters(
        family=VmFamily.W2K,
        physical=pages(511881),
        nonpaged_used=pages(10042),
        nonpaged_max=pages(68537),
        paged_used=pages(32850),
        paged_max=pages(40960),
        shared_commit=pages(14479),
        special_pool=pages(0),
        free_system_ptes=KernelFigure(135832, Unit.COUNT, 0, "x"),
        shared_process=pages(15186),
        commit_limit=pages(1259456),
        page_files=(page_file(r"\??\S:\pagefile.sys", 2098176, 1837740, 2098176, 2098176),),
    )
    assert "\n".join(printed(counters)) == "\n".join(
        [
            "*** Virtual Memory Usage ***",
            " Physical Memory:   511881   ( 2047524 Kb)",
            r" Page File: \??\S:\pagefile.sys",
            "    Current:   2098176Kb Free Space:   1837740Kb",
            "    Minimum:   2098176Kb Maximum:      2098176Kb",
            " NonPagedPool Usage: 10042   (   40168 Kb)",
            " NonPagedPool Max:   68537   (  274148 Kb)",
            " ********** Excessive Paged Pool Usage *****",
            " PagedPool Usage:    32850   (  131400 Kb)",
            " PagedPool Maximum:  40960   (  163840 Kb)",
            " Shared Commit:      14479   (   57916 Kb)",
            " Special Pool:           0   (       0 Kb)",
            " Free System PTEs:  135832   (  543328 Kb)",
            " Shared Process:     15186   (   60744 Kb)",
            " Commit limit:     1259456   ( 5037824 Kb)",
        ]
    )


def test_what_is_not_known_has_no_row(printed: Callable[..., list[str]]) -> None:
    lines = printed(KernelMemoryCounters(family=VmFamily.W8_LATER, paged_used=pages(7), notes=("something\nis amiss",)))
    assert [line for line in lines if line and not line.startswith("Physical")] == [
        "PagedPool Usage:               7 (         28 Kb)",
        "*** something.is amiss",
    ]


def test_what_cannot_be_true_is_told_and_not_printed_as_a_row(printed: Callable[..., list[str]]) -> None:
    counters = KernelMemoryCounters(family=VmFamily.XP_2003, impossible=(("NonPagedPool Usage", pages(-1)),))
    lines = printed(counters)
    assert not any("NonPagedPool Usage:" in line for line in lines)
    assert any(line.startswith("*** the figure of NonPagedPool Usage (-4,096") for line in lines)


def test_page_files_of_which_only_a_part_is_known(printed: Callable[..., list[str]]) -> None:
    known = page_file("C:\\a\x07b", 8, 4, 8, 8)
    counters = KernelMemoryCounters(
        family=VmFamily.W8_LATER,
        page_files=(replace(known, free_bytes=None), replace(known, name=None, current_bytes=None, free_bytes=None)),
    )
    assert printed(counters)[:5] == [
        "Page File: C:\\a.b",
        "  Current:         8 Kb",
        "  Minimum:         8 Kb  Maximum:            8 Kb",
        "No Name for Paging File",
        "  Minimum:         8 Kb  Maximum:            8 Kb",
    ]


def test_flag_4_prints_the_sessions_alone(run: Run) -> None:
    lines = run("!vm 4")
    assert lines[0] == "Terminal Server Memory Usage By Session:"
    assert sum(line.startswith("Session ID ") for line in lines) == 2
    assert not any("Physical Memory" in line for line in lines)


def test_more_flags_print_both(run: Run) -> None:
    text = "\n".join(run("!vm 5"))
    assert "Physical Memory" in text
    assert "Session ID 1" in text


def test_without_symbols_no_session_is_made_up(run: Run) -> None:
    (line,) = run("!vm 4", "3790-x86-pae")
    assert line == "*** where processes keep their session is not known: sessions are not read"

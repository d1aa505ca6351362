"""``!vm`` in all its families, Windows 2000 to 11.

Rows are found by their labels anywhere in the output, words separated by any white space: columns, line breaks and
blank lines do not matter. A row is believed when its pages and its Kb agree (Kb = pages x 4, x 8 on Itanium).
"""

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

from poolsleuth.evidence.debugger_log.output import NUMBER, Block, BufferedOutput, Context, Output, integer
from poolsleuth.model.facts import Fact, Figure, Problem
from poolsleuth.model.memory import MemoryCounters, PageFile, ProcessCommit, VmFamily

PAGE = 4096
MAX_PROCESSES = 20_000
MAX_PAGE_FILES = 64
_UNDERFLOW = 1 << 63  # an unsigned counter that went below zero prints 1844674...

# field of MemoryCounters -> label as printed; the figures are pages
_PAGES = {
    "physical": "Physical Memory",
    "available": "Available Pages",
    "resident_available": "ResAvail Pages",
    "locked_io": "Locked IO Pages",
    "modified": "Modified Pages",
    "nonpaged_used": "NonPagedPool Usage",
    "nonpaged_nx_used": "NonPagedPoolNx Usage",
    "nonpaged_max": "NonPagedPool Max(?:imum)?",
    "paged_used": "PagedPool Usage",
    "paged_max": "PagedPool Max(?:imum)?",
    "session_commit": "Session Commit",
    "shared_commit": "Shared Commit",
    "special_pool": "Special Pool",
    "shared_process": "Shared Process",
    "nonpaged_commit": "NonPagedPool Commit",
    "paged_commit": "PagedPool Commit",
    "driver_commit": "Driver Commit",
    "kernel_stacks": "Kernel Stacks",
    "pages_for_mdls": "Pages For MDLs",
    "total_private": "Total Private",
    "committed": "Committed pages",
    "commit_limit": "Commit limit",
}
# the same, but the figure is the count itself (PTEs), not bytes
_COUNTS = {
    "free_system_ptes": "Free System PTEs",
    "free_nonpaged_ptes": "Free NP PTEs",
    "free_special_nonpaged": "Free Special NP",
}
_BANNERS = {
    "pool_failures": r"(\d{1,20})\s+pool\s+allocations\s+have\s+failed",
    "kernel_stack_pte_failures": r"(\d{1,20})\s+kernel\s+stack\s+PTE\s+allocations\s+have\s+failed",
    "stack_growth_failures": r"(\d{1,20})\s+kernel\s+stack\s+growth\s+attempts\s+have\s+failed",
    "nonpaged_warning": r"()Excessive\s+Non-?Paged\s+Pool\s+Usage",
    "paged_warning": r"()Excessive\s+Paged\s+Pool\s+Usage",
}
# A number that a hard wrap may have broken in two; which reading is right is decided by pages x 4 = Kb
_BROKEN = r"\d[\d,]{0,24}(?:\s*\n\s*\d{1,20})?"


def _words(label: str) -> str:
    return label.replace(" ", r"\s+")


_LABELS = {**_PAGES, **_COUNTS}
_ROW = re.compile(
    # Words and a number before "(": looked for first, for most words of a log begin no row at all
    r"(?<![A-Za-z])(?=[A-Za-z][A-Za-z0-9/\s,]{2,160}+(?::\s*\d|\())"
    r"(?:(?P<label>" + "|".join(_words(label) for label in _LABELS.values()) + r")"
    r"|NonPagedPool(?:Nx)?\s+(?P<node>\d{1,3})(?:\s+Used)?|PagedPool\s+(?P<pool>\d{1,3})(?:\s+Usage)?"
    + r"|(?P<other>[A-Z][A-Za-z/]+(?:[ ](?!(?:Non)?PagedPool|Physical|Committed|Commit\s)[A-Za-z]+){0,4}))"
    + rf"\s*:?\s*(?P<pages>{_BROKEN})\s*\(\s*(?P<kb>{_BROKEN})\s*K\s*b\s*\)",
    re.IGNORECASE,
)
_FIELDS = {
    spelling.lower(): name
    for name, label in _LABELS.items()
    for spelling in (label.replace("(?:imum)?", ""), label.replace("(?:imum)?", "imum"))
}


def _field(match: re.Match[str]) -> str | None:
    label = match.group("label")
    return _FIELDS[" ".join(label.split()).lower()] if label else None


_CUT_ROW = re.compile(
    r"^[ ]*(?P<label>" + "|".join(_words(label) for label in _LABELS.values()) + r")\s*:(?![^\n]*\([^\n]*K[bB])",
    re.MULTILINE | re.IGNORECASE,
)
_BANNER = {name: re.compile(expression, re.IGNORECASE) for name, expression in _BANNERS.items()}
_KB = rf"({NUMBER})\s*K\s*b"
_PAGE_FILE = re.compile(
    r"Page\s+File:[ ]*(?P<name>[^\n]*?)[ ]*(?:\n|(?=Current:))|No\s+Name\s+for\s+Paging\s+File", re.IGNORECASE
)
_PAGE_FILE_FIELDS = {
    "current_bytes": re.compile(rf"Current:\s*{_KB}"),
    "free_bytes": re.compile(rf"Free\s+Space:\s*{_KB}"),
    "minimum_bytes": re.compile(rf"Minimum:\s*{_KB}"),
    "maximum_bytes": re.compile(rf"Maximum:\s*{_KB}"),
}
_PROCESS = re.compile(
    rf"^[ ]*(?P<pid>[0-9a-f]{{1,6}})[ ]+(?P<name>[^\n:(]{{1,60}}?)[ ]+"
    rf"(?:(?P<kb>{NUMBER})[ ]*Kb|{NUMBER}[ ]*\([ ]*(?P<kb2>{NUMBER})[ ]*Kb[ ]*\))",
    re.MULTILINE,
)
_START = re.compile(r"Physical\s+Memory\s*:|Page\s+File\s*:|No\s+Name\s+for\s+Paging\s+File", re.IGNORECASE)
_END = re.compile(r"Commit\s+limit\s*:", re.IGNORECASE)


class _Vm(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact for each capture in the block: newer debuggers print no title between two of them."""
        starts = _captures(block.text)
        for start, end in zip(starts, [*starts[1:], len(block.text)], strict=True):
            fact = _counters(block, start, end)
            if fact is not None:
                yield fact


def _captures(text: str) -> list[int]:
    starts = [0]
    seen_physical = seen_end = False
    for match in re.finditer(f"{_START.pattern}|{_END.pattern}", text, re.IGNORECASE):
        word = match.group().lower()
        if word.startswith("commit"):
            seen_end = True
        elif seen_end or (word.startswith("physical") and seen_physical):
            starts.append(match.start())
            seen_end = False
            seen_physical = word.startswith("physical")
        elif word.startswith("physical"):
            seen_physical = True
    return starts


def _agreed(pages_text: str, kb_text: str) -> tuple[int, int] | None:
    """Pages and bytes, when one reading of the (perhaps broken) numbers has Kb = pages x 4 or x 8."""
    for pages in _readings(pages_text):
        for kb in _readings(kb_text):
            if kb == pages * 4 or (kb == pages * 8 and pages):
                return pages, kb * 1024
    return None


def _readings(text: str) -> list[int]:
    parts = text.split()
    whole = integer("".join(parts))
    return [whole] if len(parts) == 1 else [whole, integer(parts[-1])]


def _counters(block: Block, start: int, end: int) -> MemoryCounters | None:
    text = block.text
    values: dict[str, Any] = {}
    nodes: list[Figure] = []
    pools: list[Figure] = []
    other: dict[str, Figure] = {}
    impossible: list[tuple[str, Figure]] = []
    for match in _ROW.finditer(text, start, end):
        name = _field(match)
        label = " ".join(match.group().split(":")[0].split("(")[0].split())
        numbers = _agreed(match.group("pages"), match.group("kb"))
        where = block.where(match.start())
        if numbers is None:
            pages = _readings(match.group("pages"))[0]
            if pages * PAGE >= _UNDERFLOW:
                impossible.append((label, Figure(pages * PAGE, where)))
            elif name is not None:
                block.context.problems.append(
                    Problem(f"the !vm row '{label}' is damaged (its pages and Kb disagree) and is not used", where)
                )
            continue
        pages, size = numbers
        if size >= _UNDERFLOW:
            impossible.append((label, Figure(size, where)))
        elif name in _COUNTS:
            values.setdefault(name, Figure(pages, where))
        elif name is not None:
            values.setdefault(name, Figure(size, where))
        elif match.group("node"):
            nodes.append(Figure(size, where))
        elif match.group("pool"):
            pools.append(Figure(size, where))
        elif match.group("other"):
            other.setdefault(label, Figure(size, where))
    whole = text[start:end].lower()
    for name, banner in _BANNER.items():
        # The last word is looked for first: most captures hold no banner at all
        found = banner.search(text, start, end) if ("excessive" if "warning" in name else "failed") in whole else None
        if found:
            count = int(found.group(1)) if found.group(1) else 1
            values[name] = Figure(count, block.where(found.start()))
    files = _page_files(text[start:end])
    if not values and not pools and not nodes and not files:
        return None
    for cut in _CUT_ROW.finditer(text, start, end):
        if not any(
            _words(_LABELS[name]) and re.fullmatch(_words(_LABELS[name]), cut.group("label"), re.IGNORECASE)
            for name in values
            if name in _LABELS
        ):
            block.context.problems.append(
                Problem(
                    f"the !vm row '{' '.join(cut.group('label').split())}' is cut and not used",
                    block.where(cut.start()),
                )
            )
    _drop_unread(values)
    _set_aside_impossible(values, impossible)
    first = min((f.where.line or 1 for f in values.values()), default=block.line(start))
    return MemoryCounters(
        where=type(block.where(start))(block.context.input, first),
        live=block.context.live,
        command=block.context.command,
        family=_family(text[start:end], values),
        nonpaged_nodes=tuple(nodes),
        paged_pools=tuple(pools),
        impossible=tuple(impossible),
        page_files=files,
        processes=tuple(_processes(text[start:end])),
        other=other,
        **values,
    )


def _drop_unread(values: dict[str, Any]) -> None:
    """A 0 in a row that cannot be 0 on a running Windows is a value the debugger could not read."""
    unread = {"physical", "committed", "commit_limit", "nonpaged_used", "nonpaged_max", "paged_used", "paged_max"}
    if "nonpaged_nx_used" in values:
        unread.discard("nonpaged_used")  # all nonpaged pool can be no-execute: a real Windows 10 prints 0 beside Nx
    for name in unread:
        if name in values and values[name].value == 0:
            del values[name]


def _set_aside_impossible(values: dict[str, Any], impossible: list[tuple[str, Figure]]) -> None:
    """Usage above the machine's memory, or above the maximum, is a counter that was misread."""
    physical = values.get("physical")
    for name, label, maximum in (
        ("nonpaged_used", "NonPagedPool Usage", "nonpaged_max"),
        ("nonpaged_nx_used", "NonPagedPoolNx Usage", "nonpaged_max"),
        ("paged_used", "PagedPool Usage", "paged_max"),
    ):
        figure = values.get(name)
        if figure is None:
            continue
        limit = values.get(maximum)
        above_ram = name != "paged_used" and physical is not None and figure.value > physical.value
        above_max = limit is not None and figure.value > limit.value
        if above_ram or above_max:
            impossible.append((label, figure))
            del values[name]


def _page_files(text: str) -> tuple[PageFile, ...]:
    files: list[PageFile] = []
    matches = list(_PAGE_FILE.finditer(text))[:MAX_PAGE_FILES]
    for match, following in zip_longest(matches, matches[1:]):
        part = text[match.end() : following.start() if following else match.end() + 600]
        sizes: dict[str, int | None] = {}
        for name, field in _PAGE_FILE_FIELDS.items():
            found = field.search(part)
            sizes[name] = integer(found.group(1)) * 1024 if found else None
        if any(size is not None for size in sizes.values()):
            files.append(PageFile(name=(match.group("name") or "(no name)").strip(), **sizes))
    return tuple(files)


def _processes(text: str) -> Iterator[ProcessCommit]:
    tail = text.find("Pid ImageName")
    if tail < 0:
        tail = text.find("Total Private")
    if tail < 0:
        return
    for count, match in enumerate(_PROCESS.finditer(text, tail)):
        if count >= MAX_PROCESSES:
            return
        kb = match.group("kb") or match.group("kb2")
        yield ProcessCommit(int(match.group("pid"), 16), match.group("name").strip(), integer(kb) * 1024)


_SIXTEEN_TB = 1 << 44
_128_GB = 128 << 30
_384_GB = 384 << 30


def _family(text: str, values: dict[str, Any]) -> VmFamily:
    """The generation, from rows that only it prints; an absent row proves nothing, for rows get lost."""
    nonpaged_max, paged_max = values.get("nonpaged_max"), values.get("paged_max")
    if (nonpaged_max and nonpaged_max.value >= _SIXTEEN_TB) or (paged_max and paged_max.value >= _384_GB):
        return VmFamily.W8_LATER
    if "kernel_stacks" in values or "nonpaged_commit" in values or "Boot Commit" in text:
        return VmFamily.W8_LATER
    if "MiSystemVaTypeCount" in text:
        return VmFamily.VISTA_7
    # Before the maximum of 128 GB, which Server 2003 x64 has as well
    if "free_nonpaged_ptes" in values or "free_special_nonpaged" in values:
        return VmFamily.XP_2003
    if paged_max and paged_max.value == _128_GB:
        return VmFamily.VISTA_7
    # In the order of the text: the two may stand on one line
    names = [name for name in values if name in {"special_pool", "free_system_ptes"}]
    if names == ["special_pool", "free_system_ptes"]:
        return VmFamily.W2K
    return VmFamily.UNKNOWN


class _Reader:
    name = "!vm"
    banners = (r"Virtual\s+Memory\s+Usage",)
    rows = (
        r"Physical\s+Memory\s*:\s*\d",
        r"Page\s+File\s*:",
        r"No\s+Name\s+for\s+Paging\s+File",
        r"(?:Available|ResAvail|Locked\s+IO|Modified|Modified\s+PF)\s+Pages\s*:\s*\d",
        r"Free\s+(?:System|NP)\s+PTEs\s*:\s*\d",
        r"NonPagedPool(?:Nx)?\s+(?:Usage|Max|Commit|\d+\s)",
        r"PagedPool\s+(?:Usage|Maximum|Commit|\d+\s)",
        r"(?:Committed\s+pages|Commit\s+limit|Shared\s+Commit|Driver\s+Commit)\s*:\s*\d",
        r"\d+\s+pool\s+allocations\s+have\s+failed",
        r"Excessive\s+(?:Non)?Paged\s+Pool\s+Usage",
    )

    def open(self, context: Context) -> Output:
        """Begin a ``!vm``."""
        return _Vm(context)


READER = _Reader()

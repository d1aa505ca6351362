"""Kernel crash dumps and images of memory as evidence: everything that a debugger's commands would print of them."""

from collections.abc import Callable, Iterable
from typing import BinaryIO

from poolsleuth.evidence.dump.big_page_facts import big_page_facts
from poolsleuth.evidence.dump.block_facts import block_facts
from poolsleuth.evidence.dump.code_facts import code_facts
from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.evidence.dump.driver_facts import kernel_drivers, triage_drivers
from poolsleuth.evidence.dump.identity import bug_check, target
from poolsleuth.evidence.dump.import_facts import import_facts
from poolsleuth.evidence.dump.lock_facts import lock_facts
from poolsleuth.evidence.dump.memory_facts import memory_facts
from poolsleuth.evidence.dump.opening import OpenedDump, Progress, open_kernel
from poolsleuth.evidence.dump.options import AS_FOUND, CodeReader, DumpOptions
from poolsleuth.evidence.dump.pointer_facts import pointer_facts
from poolsleuth.evidence.dump.process_facts import process_facts
from poolsleuth.evidence.dump.session_facts import session_facts
from poolsleuth.evidence.dump.tag_tables import tag_table
from poolsleuth.kernel.crash_dump.content import PAGE, open_content
from poolsleuth.kernel.crash_dump.dump import Container, CrashDump
from poolsleuth.kernel.pool.tracker_tables import read_tag_totals
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem

MAX_FLAWS = 20  # sentences about one damaged container: more of them help nobody
_COMMANDS = "`!vm`, `!poolused 2`, `!poolused 4` and `lm`"


def read_dump(
    file: BinaryIO,
    input_index: int,
    problems: list[Problem],
    options: DumpOptions = AS_FOUND,
    progress: Progress | None = None,
) -> list[Fact]:
    """Read a crash dump or an image of memory that can be sought in: only what is needed of it.

    What it cannot tell, and what of it is damaged, is added to ``problems``. Raises InputError when it is neither, or
    its header cannot be believed.
    """
    with open_content(file) as content:
        opened = open_kernel(content, options, progress)
        if opened.image is not None and opened.kernel is None:
            raise InputError(opened.says or "no Windows kernel was found in it")
        bits = opened.dump.header.bits if opened.dump is not None else 64
        captured_at = opened.dump.header.captured_at if opened.dump is not None else None
        context = DumpContext(input_index, bits, captured_at, problems)
        context.symbols = opened.kernel is None or opened.kernel.table is not None
        for flaw in opened.flaws[:MAX_FLAWS]:
            context.problem(flaw.says, offset=flaw.offset or 0)
        for sentence in opened.symbols_tried:
            context.problem(f"symbols: {sentence}")
        facts: list[Fact] = [target(opened, context)]
        if opened.dump is not None:
            facts += bug_check(opened.dump.header, opened.kernel, context)
        if opened.kernel is not None and (opened.dump is None or opened.dump.triage is None):
            _add_kernel(facts, opened.kernel, opened.physical_pages, context, progress, options.code)
        elif opened.dump is not None:
            if opened.dump.triage is not None:
                facts += triage_drivers(opened.dump.triage, opened.dump.header.build, context)
            context.problem(_not_read(opened, opened.dump), offset=opened.dump.header.size)
        elif opened.says is not None:
            context.problem(opened.says)
        context.end()
    return facts


def _add_kernel(
    facts: list[Fact],
    kernel: Kernel,
    physical_pages: int | None,
    context: DumpContext,
    progress: Progress | None,
    code: CodeReader | None,
) -> None:
    """Each part by itself: what is wrong with one of them must not lose the others."""

    def looked_at(pages: int) -> None:
        if progress is not None:
            progress("pool pages", pages * PAGE, None)

    parts: tuple[tuple[str, Callable[[], Iterable[Fact]]], ...] = (
        ("memory counters", lambda: memory_facts(kernel, physical_pages, context)),
        ("tag tables", lambda: _tags(kernel, context)),
        ("big pages", lambda: big_page_facts(kernel, context)),
        ("sessions", lambda: session_facts(kernel, context)),
        ("modules", lambda: kernel_drivers(kernel, context)),
        ("locks", lambda: lock_facts(kernel, context)),
        ("processes", lambda: process_facts(kernel, context)),
        ("imports", lambda: import_facts(kernel, facts, context)),
        ("code of modules", lambda: code_facts(kernel, facts, context, code)),
        ("pointers of blocks", lambda: pointer_facts(kernel, facts, context, looked_at)),
        ("pool blocks", lambda: block_facts(kernel, facts, context, looked_at)),
    )
    for what, read in parts:
        try:
            facts.extend(list(read()))
        except Exception as error:  # a defect of ours in one reader
            context.problem(f"{what}: they could not be read (internal error: {error!r})")


def _tags(kernel: Kernel, context: DumpContext) -> Iterable[Fact]:
    table = tag_table(read_tag_totals(kernel), kernel.variable("PoolTrackTable"), context)
    return [] if table is None else [table]


def _not_read(opened: OpenedDump, dump: CrashDump) -> str:
    if dump.container is Container.TRIAGE:
        memory = dump.triage.memory if dump.triage is not None else None
        figures = ""
        if memory is not None:
            figures = (
                ", and its block of memory figures is empty"
                if memory.empty
                else ", and the unit of the figures in its memory block is not documented"
            )
        return (
            f"a triage dump carries no pool usage (it has no pool tables{figures}): give a kernel or complete dump"
            " (MEMORY.DMP), or the text of `!vm` and `!poolused` from the machine"
        )
    if dump.container is Container.HEADER_ONLY:
        return "the dump is a header without memory, so that it carries no pool usage: give a kernel or complete dump"
    why = opened.says or "no page of its memory could be found"
    pages = ""
    if dump.memory is not None:
        pages = f", {dump.memory.pages - dump.memory.pages_cut_off:,} pages of memory"
    return (
        f"only its header was read ({dump.container.value}{pages}): {why}; or give the text of {_COMMANDS} from a"
        " debugger"
    )

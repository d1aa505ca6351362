"""Tag None: memory taken through ExAllocatePool, which has no tag; which loaded modules import it."""

from collections.abc import Iterator

from poolsleuth.model.block_pointers import BlockPointers
from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.module_search import ModuleSearch
from poolsleuth.model.tags import Completeness, PoolKind, TagRow
from poolsleuth.patterns.attribution import Attribution, Importer
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.pointers_home import Homes, same_driver
from poolsleuth.patterns.shares import tag_share
from poolsleuth.patterns.thresholds import TAG_UNTAGGED_BYTES, TAG_UNTAGGED_SHARE
from poolsleuth.patterns.views import PoolState, PoolStates, TagView
from poolsleuth.patterns.wording import exact, percent, plural, size

ID = "untagged-allocations"
FUNCTION = "nt!ExAllocatePool"
FUNCTIONS = (FUNCTION, "nt!ExAllocatePoolWithQuota")
"""What takes memory without a tag. A debugger's log usually searches for the first alone."""
MAX_NAMED = 6  # modules of one kind that a sentence names


def judge(
    tags: TagView,
    states: PoolStates | None,
    system: System,
    owners: Attribution,
    pointers: tuple[BlockPointers, ...] = (),
) -> Finding:
    """Found when untagged memory is a substantial part of a pool; the importing module is named when one is seen, and
    the blocks do not point at the code of another driver."""
    rows = [row for kind in (PoolKind.NONPAGED, PoolKind.PAGED) if (row := tags.row("None", kind)) is not None]
    rows = [row for row in rows if row.bytes or row.outstanding]
    if not rows:
        complete = all(tags.completeness.get(k) is Completeness.COMPLETE for k in (PoolKind.NONPAGED, PoolKind.PAGED))
        if complete:
            return ruled_out(ID, "the complete tag table has no untagged memory")
        return not_assessed(
            ID, "tag None is not among the rows shown, and the table may be cut", "run `!poolused` without /t"
        )
    row = max(rows, key=lambda r: r.bytes or 0)
    state = states.of(row.pool) if states is not None else None
    share = tag_share(row, states, system) if row.bytes is not None else None
    if not _substantial(row, share):
        return ruled_out(
            ID,
            f"untagged memory is small: {_amount(row)} of {row.pool} pool",
            because=(Reason(f"tag None: {_amount(row)}", row.where),),
        )
    importers = [(importer, function) for function in FUNCTIONS for importer in owners.importers(function)]
    because, against, driver = _who(importers, owners)
    home = Homes(pointers, owners).home(row)
    other = home.owner if home is not None and home.owner is not None and driver is not None else None
    if other is not None and driver is not None and same_driver(other, driver):
        other = None
    full = state is not None and state.tight
    amount = f"{exact(row.bytes)} in " if row.bytes is not None else ""
    headline = f"{amount}{row.outstanding or 0:,} blocks of {row.pool} pool have no tag (tag None: ExAllocatePool)"
    if driver is not None:
        headline += f"; the one importer seen is {driver}"
    if other is not None and home is not None:
        headline += f", but the blocks point at the code of {other}"
        because = (*because, *home.because)
        says = f"{driver} can allocate without a tag, and the blocks point at {other}: one of the two did it"
        against = (*against, Reason(says), *home.against)
        driver = None
    part = f", {percent(share)} of the pool" if share is not None else ""
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.CRITICAL if full else Severity.WARNING,
        # One importer is the only one for certain when every module was searched
        confidence=Confidence.HIGH
        if not importers or (driver is not None and _searched_all(owners))
        else Confidence.MEDIUM,
        headline=headline,
        subject=Subject(pool=str(row.pool), tag="None", driver=driver),
        because=(
            Reason(f"tag None: {_amount(row)}{part}", row.where),
            *because,
        ),
        against=against,
        explains=(_explains(row, state, share),) if full else (),
        next_steps=_steps(bool(importers), system, driver, owners.search_of(FUNCTION)),
    )


def _amount(row: TagRow) -> str:
    blocks = f"{row.outstanding or 0:,} blocks"
    return blocks if row.bytes is None else f"{blocks}, {exact(row.bytes)}"


def _substantial(row: TagRow, share: float | None) -> bool:
    if row.bytes is None:
        return (row.outstanding or 0) * 16 >= TAG_UNTAGGED_BYTES.value
    if share is not None:
        return share >= TAG_UNTAGGED_SHARE.value
    return row.bytes >= TAG_UNTAGGED_BYTES.value


def _searched_all(owners: Attribution) -> bool:
    search = owners.search_of(FUNCTION)
    return owners.searched_all_modules or (search is not None and search.complete)


def _who(
    importers: list[tuple[Importer, str]], owners: Attribution
) -> tuple[tuple[Reason, ...], tuple[Reason, ...], str | None]:
    because: list[Reason] = []
    against: list[Reason] = []
    for importer, function in importers[:10]:
        where = f"0x{importer.base:x}" if importer.base is not None else "an unknown base"
        name = importer.name or f"the module around 0x{importer.slot:x}"
        table = "import table" if importer.is_import_table else "memory"
        because.append(
            Reason(f"the {table} of {name} (base {where}) holds {function} at 0x{importer.slot:x}", importer.where)
        )
        if importer.guid_named:
            because.append(
                Reason(
                    "a driver named by a GUID that is not on disk is created at run time by its parent program: look"
                    " for the program, not for the file"
                )
            )
        if importer.redacted:
            against.append(Reason(f"the log's author has redacted the name: {importer.name} is all it says"))
    search = owners.search_of(FUNCTION)
    modules = {importer.slot if importer.base is None else importer.base for importer, _ in importers}
    driver = None
    if len(modules) == 1:
        driver = importers[0][0].name
        because.append(Reason(f"it is the only module in which the address was found; {_scope(owners, search)}"))
        against.append(
            Reason(
                "an import shows who can allocate without a tag, not who did: a driver that asks for the function's"
                " address at run time, or that is unloaded, would not be seen"
            )
        )
    elif importers:
        against.append(Reason(f"{len(modules)} modules import the function: each is only a candidate"))
    elif search is not None:
        because.append(Reason(f"no importer of {FUNCTION} was found: {_scope(owners, search)}", search.where))
    if search is not None:
        against += _not_searched(search)
    return tuple(because), tuple(against), driver


def _scope(owners: Attribution, search: ModuleSearch | None) -> str:
    if owners.searched_all_modules:
        return "all loaded modules were searched"
    if search is None:
        return "the log does not show whether all modules were searched"
    seen = search.modules - len(search.unseen)
    part = f"{seen:,} of {search.modules:,}" if search.unseen else f"all {search.modules:,}"
    return f"the import tables of {part} loaded modules were searched"


def _not_searched(search: ModuleSearch) -> Iterator[Reason]:
    """What of a dump could not be searched: not seen is not the same as not there."""
    if search.address is None:
        yield Reason(
            f"where {FUNCTION} lies is not known: only names in import tables were searched, and drivers may throw"
            " those away after loading",
            search.where,
        )
    if not search.whole_list:
        yield Reason("the list of loaded modules is not whole in this dump: others may import it", search.where)
    if search.unseen:
        names = [name or "one without a name" for name in search.unseen[:MAX_NAMED]]
        more = len(search.unseen) - len(names)
        rest = f" and {more:,} more" if more else ""
        yield Reason(
            f"the import tables of {plural(len(search.unseen), 'module')} are not in this dump ({', '.join(names)}"
            f"{rest}): they may import it too",
            search.where,
        )
    if search.unread_bytes:
        yield Reason(
            f"{size(search.unread_bytes)} of {plural(search.unread_modules, 'module')} are not in this dump: an address"
            " that a driver looked up at run time may lie there",
            search.where,
        )


def _explains(row: TagRow, state: PoolState | None, share: float | None) -> str:
    part = f"{percent(share)} of " if share is not None else "much of "
    failed = state.failures if state is not None else None
    tail = f" and with it the {plural(failed.value, 'failed allocation')}" if failed is not None else ""
    return f"{part}the {row.pool} pool in use{tail}"


def _steps(importers: bool, system: System, driver: str | None, search: ModuleSearch | None) -> tuple[str, ...]:
    if driver is not None:
        return (
            f"update or remove the product that brings {driver}, then watch tag None with poolmon: it must stop"
            " growing",
            f"confirm with `!dh -f <base>` (Import Address Table Directory) and `lmvm` on {driver}",
        )
    if search is not None and search.address is not None:
        return (
            "Driver Verifier with pool tracking on "
            + ("the importing drivers" if importers else "all third-party drivers")
            + ", then `!verifier 3 <driver.sys>`: its counts are per driver, also for memory without a tag",
        )
    command = "s-q" if system.bits == 64 else "s-d"
    steps = [
        f"`x {FUNCTION}` for its address, then `!for_each_module {command} @#Base @#End <address>`: each hit is an"
        " import table",
        "`dps <hit>` to see that it is an import table, `!lmi <hit>` for the module",
    ]
    if importers:
        steps.insert(0, "`!lmi <hit>` on each hit to name the modules")
    return tuple(steps)

"""Memory left behind by a driver that is no longer loaded: its tag still has blocks, its module is gone."""

from collections.abc import Iterator

from poolsleuth.model.block_pointers import BlockPointers
from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.modules import UnloadedModules
from poolsleuth.model.system import BugCheck, VerifierState
from poolsleuth.model.tags import TagRow
from poolsleuth.patterns.attribution import Attribution, NameMatch
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.pointers_home import Home, Homes, confidence_in, same_driver
from poolsleuth.patterns.shares import least_bytes, tag_share
from poolsleuth.patterns.tag_knowledge import sure_note
from poolsleuth.patterns.thresholds import UNLOADED_BYTES
from poolsleuth.patterns.views import PoolStates, TagView
from poolsleuth.patterns.wording import exact, percent, plural, size
from poolsleuth.windows.own_modules import is_windows_module

ID = "unloaded-driver-leak"

_WHOLE_TAG = 4  # characters: a shorter tag agrees with many names by chance
_VERIFIER_LEAK = (0xC4, 0x62)  # a verified driver was unloaded with pool outstanding


def judge(
    system: System,
    tags: TagView | None,
    states: PoolStates | None,
    unloaded: tuple[UnloadedModules, ...],
    verifier: VerifierState | None,
    owners: Attribution,
    pointers: tuple[BlockPointers, ...] = (),
) -> Iterator[Finding]:
    """Found when Driver Verifier caught it, or the blocks of a tag still point at the code of a driver that is gone;
    suspected when a living tag is named like one."""
    caught = _caught(system.bugcheck, verifier)
    if caught is not None:
        yield caught
        return
    if not unloaded or tags is None:
        missing = [] if unloaded else ["run `lm` (the unloaded modules stand at its end)"]
        missing += [] if tags is not None else ["run `!poolused` for the tags"]
        yield not_assessed(ID, "it takes both the unloaded modules and the tags", *missing)
        return
    found = False
    homes = Homes(pointers, owners)
    for row in tags.rows:
        home = homes.home(row)
        if home is not None and home.gone:
            finding = _still_points(row, home, states, system, owners)
        else:
            finding = _left_behind(row, states, system, owners)
        if finding is not None:
            found = True
            yield finding
    if not found:
        yield ruled_out(
            ID,
            "no tag in the evidence is named like an unloaded driver",
            confidence=Confidence.LOW,
            against=(Reason("a tag need not resemble its driver's name, and the kernel remembers 50 unloadings only"),),
        )


def _caught(bugcheck: BugCheck | None, verifier: VerifierState | None) -> Finding | None:
    if bugcheck is None or (bugcheck.code, *bugcheck.parameters[:1]) != _VERIFIER_LEAK:
        return None
    left = bugcheck.parameters[3] if len(bugcheck.parameters) > 3 else None
    drivers = (
        [d for d in verifier.drivers if d.allocations or d.nonpaged_allocations or d.paged_allocations]
        if verifier
        else []
    )
    driver = drivers[0].name if len(drivers) == 1 else bugcheck.image
    count = plural(left, "allocation") if left is not None else "allocations"
    because = [
        Reason(f"bug check 0xC4, first argument 0x62: a driver was unloaded without freeing {count}", bugcheck.where)
    ]
    for verified in drivers[:3]:
        because.append(
            Reason(
                f"Driver Verifier lists {verified.name} with {verified.nonpaged_allocations or 0} nonpaged and"
                f" {verified.paged_allocations or 0} paged allocations,"
                f" {exact((verified.nonpaged_bytes or 0) + (verified.paged_bytes or 0))}",
                verified.where,
            )
        )
        because += [
            Reason(f"0x{a.address:x}: {a.size} bytes, tag {a.tag}, allocated by {a.caller}", verified.where)
            for a in verified.allocations[:5]
        ]
    tags = sorted({a.tag for d in drivers for a in d.allocations})
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.CRITICAL,
        confidence=Confidence.HIGH if driver else Confidence.MEDIUM,
        headline=f"{driver or 'a verified driver'} was unloaded and left {count} of pool behind (caught by Driver"
        " Verifier)",
        subject=Subject(driver=driver, tag=tags[0] if len(tags) == 1 else None),
        because=tuple(because),
        explains=("the bug check",),
        next_steps=(
            f"`!verifier 3 {driver or '<driver.sys>'}` lists every block with its caller; free them in the driver's"
            " unload routine",
        ),
    )


def _still_points(
    row: TagRow, home: Home, states: PoolStates | None, system: System, owners: Attribution
) -> Finding | None:
    """The blocks of a tag hold addresses of code that is no longer there: the driver that is gone put them there."""
    least = least_bytes(row, system)
    driver = home.owner
    if driver is None or not row.outstanding or least is None or least < UNLOADED_BYTES.value:
        return None
    share = tag_share(row, states, system)
    state = states.of(row.pool) if states is not None else None
    tight = state is not None and state.tight
    match = owners.unloaded_named(driver)
    again = match is not None and match.loaded
    makers = owners.makers(row)
    others = [name for name in (makers.drivers if makers is not None else ()) if not same_driver(name, driver)]
    sure = home.sure and not home.known and not again and not others
    against = [*home.against]
    if others:
        against.append(
            Reason(
                f"{' and '.join(others)} is loaded and allocates with tag {row.tag}: its blocks may lie where those of"
                f" {driver} lay, and hold what was left there"
            )
        )
    if again:
        against.append(Reason(f"{driver} is loaded again, elsewhere: it may have taken over what it left behind"))
    if not sure and not against:
        against.append(Reason("too few blocks were seen to be sure"))
    part = f", {percent(share)} of the {row.pool} pool in use" if share is not None else ""
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND if sure else Verdict.SUSPECTED,
        severity=Severity.WARNING if tight else Severity.INFO,
        confidence=confidence_in(home) if sure else Confidence.MEDIUM,
        headline=f"{driver} was unloaded and left {size(least)} of {row.pool} pool behind (tag {row.tag}): the blocks"
        " still point at its code",
        subject=Subject(pool=str(row.pool), tag=row.tag, driver=driver),
        because=(
            Reason(f"tag {row.tag}: {row.outstanding:,} blocks, {exact(least)} outstanding{part}", row.where),
            *home.because,
            *((Reason(f"{match.module} was unloaded {plural(match.unloads, 'time')}", match.where),) if match else ()),
        ),
        against=tuple(against),
        explains=(f"{percent(share)} of the {row.pool} pool in use",) if share is not None and tight else (),
        roles=home.roles,
        next_steps=_steps(driver, row.tag),
    )


def _steps(driver: str, tag: str) -> tuple[str, ...]:
    return (
        f"load and unload the product of {driver} once and compare tag {tag} before and after (poolmon)",
        f"Driver Verifier on {driver}: it stops with bug check 0xC4 (0x62) when pool is left at unload",
        f"update or remove the product of {driver}; the memory comes back only with a restart",
    )


def _left_behind(row: TagRow, states: PoolStates | None, system: System, owners: Attribution) -> Finding | None:
    least = least_bytes(row, system)
    if not row.outstanding or least is None or least < UNLOADED_BYTES.value:
        return None
    owner = owners.owner(row)
    listed = owners.unloaded_named(owner.binary) if owner is not None and owner.binary is not None else None
    alike = owners.named_like(row.tag)
    # Usb is the tag of a family: that Windows' own usbstor.sys went with a stick says nothing
    named = [m for m in alike if m.unloads and not m.loaded and not is_windows_module(m.module, None)]
    if any(m.loaded for m in alike) and listed is None:
        return None  # usbport.sys is there to own Usb: that usbstor.sys is gone says nothing
    # A tag that Windows or a list knows is nobody else's by its name alone: Proc is not left behind by procmon.sys
    known = sure_note(row) is not None or (owner is not None and owner.binary is not None)
    match = listed if listed is not None else named[0] if named and not known else None
    if match is None or match.loaded:
        return None
    share = tag_share(row, states, system)
    state = states.of(row.pool) if states is not None else None
    tight = state is not None and state.tight
    part = f", {percent(share)} of the {row.pool} pool in use" if share is not None else ""
    times = "once" if match.unloads == 1 else f"{match.unloads} times"
    return Finding(
        pattern=ID,
        verdict=Verdict.SUSPECTED,
        severity=Severity.WARNING if tight else Severity.INFO,
        confidence=_confidence(row, match, by_list=listed is not None),
        headline=f"tag {row.tag} still holds {size(least)} of {row.pool} pool, and {match.module} was unloaded {times}",
        subject=Subject(pool=str(row.pool), tag=row.tag, driver=match.module),
        because=(
            Reason(f"tag {row.tag}: {row.outstanding:,} blocks, {exact(least)} outstanding{part}", row.where),
            Reason(f"{match.module} was loaded and unloaded {times}", match.where),
            Reason(f"{owner.how} gives the tag to {owner.binary}")
            if listed is not None and owner is not None
            else Reason(f"the name {match.module} begins with the tag {row.tag}: that may be no coincidence"),
        ),
        against=_against(match, owners, by_list=listed is not None),
        explains=(f"{percent(share)} of the {row.pool} pool in use",) if share is not None and tight else (),
        next_steps=_steps(match.module, row.tag),
    )


def _confidence(row: TagRow, match: NameMatch, *, by_list: bool) -> Confidence:
    if by_list:
        return Confidence.HIGH if match.unloads > 1 else Confidence.MEDIUM
    return Confidence.MEDIUM if len(row.tag) == _WHOLE_TAG and match.unloads > 1 else Confidence.LOW


def _against(match: NameMatch, owners: Attribution, *, by_list: bool) -> tuple[Reason, ...]:
    reasons = [] if by_list else ["only the name ties tag and driver: another driver may use the same tag"]
    if not owners.loaded_complete:
        reasons.append(f"no complete list of loaded modules is in the evidence, so {match.module} may be loaded again")
    return tuple(Reason(reason) for reason in reasons)

"""Bad block headers and the bug checks that mean them; a bug check of another kind is said to be of another kind."""

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.pool import NotPool, PoolPage, PoolValidation
from poolsleuth.model.system import BugCheck
from poolsleuth.patterns.blame import blamed_driver
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.windows import bugchecks
from poolsleuth.windows.bugchecks import BugCheckNote

ID = "pool-corruption"
PAGE = 4096
BAD_POOL_HEADER = 0x19
_SHOWN = 5  # damaged pages told
# Bug checks of a bad memory access: not the pool's, but freed pool is one of the places where bad pointers lead
_BAD_POINTERS = frozenset({0x0A, 0x1A, 0x1E, 0x3B, 0x50, 0x7E, 0x8E, 0xD1, 0x1000007E, 0x1000008E})
# Exceptions that nobody handled: damaged pool is one of their causes, so that they neither prove nor exclude it
_UNHANDLED = frozenset({0x1E, 0x3B, 0x7E, 0x8E, 0x1000007E, 0x1000008E})
_MISUSE = frozenset({0xC2, 0xC6, 0xC9})  # a caller broke the rules: the headers themselves may be sound
_CORRUPTION = frozenset({"pool-corruption", "special-pool"})


def judge(
    system: System, pages: tuple[PoolPage, ...], validations: tuple[PoolValidation, ...], strangers: tuple[NotPool, ...]
) -> Finding:
    """Found for a bug check of the pool manager or an invalid page; ruled out for a bug check of another kind."""
    check = system.bugcheck
    note = bugchecks.note(check.code) if check is not None else None
    invalid = [v for v in validations if v.valid is False]
    because = [_invalid(v, check) for v in sorted(invalid, key=lambda v: not _named(v, check))[:_SHOWN]]
    if len(invalid) > _SHOWN:
        because.append(Reason(f"{len(invalid):,} pages have such damage; the first {_SHOWN} are told"))
    because += [Reason(text, page.where) for page in pages if (text := _bad_page(page)) is not None][:5]
    if check is not None and note is not None and note.about in _CORRUPTION:
        return _by_bugcheck(check, note, because, damaged=any(_named(v, check) for v in invalid))
    if because:
        return Finding(
            pattern=ID,
            verdict=Verdict.FOUND if invalid else Verdict.SUSPECTED,
            severity=Severity.CRITICAL,
            confidence=Confidence.MEDIUM if invalid else Confidence.LOW,
            headline="block headers of the pool are damaged",
            because=tuple(because),
            against=(_doubt(invalid),),
            next_steps=_steps(None),
        )
    if check is not None:
        name = check.name or (note.name if note is not None else None)
        called = f"bug check 0x{check.code:X}" + (f" ({name})" if name else "")
        about = note.about if note is not None else None
        if check.code in _UNHANDLED:
            return not_assessed(
                ID,
                f"{called} is an exception that nobody handled: it neither proves nor excludes damaged pool",
                "run `!analyze -v`, and `!pool <address>` on the addresses that it names",
                because=(Reason(note.says if note is not None else called, check.where),),
            )
        if about == "not-pool":
            return ruled_out(
                ID,
                f"{called} has nothing to do with pool" + (" in itself" if check.code in _BAD_POINTERS else ""),
                because=(Reason(note.says if note is not None else called, check.where),),
                against=(Reason("a stale pointer into freed pool can end in this bug check too"),)
                if check.code in _BAD_POINTERS
                else (),
                confidence=Confidence.MEDIUM,
            )
        says = note.says if note is not None else "a bug check this project has no note on"
        return ruled_out(
            ID,
            f"{called} is not about corrupt pool",
            confidence=Confidence.MEDIUM,
            because=(Reason(says, check.where),),
        )
    if strangers:
        first = strangers[0]
        return ruled_out(
            ID,
            f"the address 0x{first.address:x} is not pool that could be read: no sign of corruption",
            because=(Reason(first.says, first.where),),
            confidence=Confidence.LOW,
        )
    if pages:
        return not_assessed(
            ID,
            f"the {len(pages)} pages shown have sound block headers, which says nothing of the others",
            "run `!analyze -v`",
            "run `!poolval <address>`",
        )
    return not_assessed(
        ID, "no bug check and no pool page is in the evidence", "run `!analyze -v`", "run `!poolval <address>`"
    )


def _walked(found: PoolValidation) -> bool:
    """Whether this comes from the pages of a dump, and not from what a debugger printed."""
    return found.where.line is None and found.where.address is not None


def _doubt(invalid: list[PoolValidation]) -> Reason:
    if invalid and all(_walked(found) for found in invalid):
        return Reason("memory that was copied while Windows ran can hold a header in the middle of a change")
    return Reason("`!poolval` may misjudge pages of the segment heap (Windows 10 1903 and later)")


def _named(found: PoolValidation, check: BugCheck | None) -> bool:
    """Whether one of the bug check's arguments lies in the page."""
    return check is not None and any(value // PAGE * PAGE == found.page for value in check.parameters if value >= PAGE)


def _invalid(found: PoolValidation, check: BugCheck | None) -> Reason:
    says = "" if _walked(found) else "!poolval: "
    says += f"page 0x{found.page:x} is invalid" + (f" ({found.errors[0]})" if found.errors else "")
    return Reason(says + ("; the bug check names this page" if _named(found, check) else ""), found.where)


def _bad_page(page: PoolPage) -> str | None:
    for block in page.blocks:
        if block.size > PAGE:
            return f"!pool: the block at 0x{block.address:x} claims 0x{block.size:X} bytes, more than its page"
    return None


def _by_bugcheck(check: BugCheck, note: BugCheckNote, because: list[Reason], *, damaged: bool) -> Finding:
    """``damaged``: the block headers of the page that the bug check names were looked at, and one is not sound."""
    code = check.parameters[0] if check.parameters else None
    meaning = note.arg1.get(code) if code is not None else None
    reasons = [Reason(f"bug check 0x{check.code:X} {note.name}: {note.says}", check.where)]
    if code is not None and meaning is not None:
        reasons.append(Reason(f"first argument 0x{code:X}: {meaning}", check.where))
    # What wrote over the header wrote over its tag
    doubtful = damaged and check.code == BAD_POOL_HEADER
    if check.tag and doubtful:
        reasons.append(Reason(f"the tag in the damaged header is {check.tag}, and may be damaged as well", check.where))
    elif check.tag:
        reasons.append(Reason(f"the block's tag is {check.tag}", check.where))
    misused = check.code in _MISUSE
    what = "a driver misused the pool" if misused else "the pool is corrupt"
    blamed = blamed_driver(check)
    if blamed:
        reasons.append(
            Reason(
                f"the debugger's analysis stops at {check.symbol or blamed}: the caller that hit the damage",
                check.where,
            )
        )
    if misused:
        doubt = "the caller that was caught may be the second of two: an earlier free of the same block is as suspect"
    else:
        doubt = "whoever meets the damage need not have done it: the neighbour in front of the block is as suspect"
    against = [Reason(doubt)]
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.CRITICAL,
        confidence=Confidence.HIGH,
        headline=f"{what}: bug check 0x{check.code:X} {note.name}"
        + (f"; {blamed} was on the stack (a suspect, not proven)" if blamed else ""),
        # the driver on the stack is no verdict: it stands in the reasons, not as the subject
        subject=Subject(tag=(check.tag or None) if not doubtful else None),
        because=(*reasons, *because),
        against=tuple(against),
        explains=("the crash",),
        next_steps=_steps(blamed, misused=misused),
    )


def _steps(blamed: str | None, *, misused: bool = False) -> tuple[str, ...]:
    driver = blamed or "<third-party drivers>"
    look = (
        "read the stack (`kv`): who frees or allocates there; `!pool <address>` says whether the block is free already"
        if misused
        else "look at the block in front of the damage: `!pool <address>` and `dps` on it"
    )
    return (
        look,
        f"Driver Verifier with special pool on the suspect: `verifier /flags 1 /driver {driver}`; the next overrun or"
        " double free then stops at the culprit",
    )

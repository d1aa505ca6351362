"""Driver Verifier or special pool is on: the pools are larger and slower, and failures may be deliberate."""

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.system import VerifierState
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.wording import exact, plural
from poolsleuth.windows import bugchecks

ID = "verifier-active"


def judge(verifier: VerifierState | None, counters: MemoryCounters | None, system: System) -> Finding:
    """Found when Driver Verifier runs or special pool is in use."""
    because: list[Reason] = []
    if verifier is not None and (verifier.level or verifier.options or verifier.drivers):
        options = f": {', '.join(verifier.options[:6])}" if verifier.options else ""
        because.append(Reason(f"!verifier lists enabled options{options}", verifier.where))
        if verifier.injected_failures is not None and verifier.injected_failures.value:
            because.append(
                Reason(
                    f"{plural(verifier.injected_failures.value, 'allocation')} failed on purpose: no sign of depletion",
                    verifier.injected_failures.where,
                )
            )
    special = counters.special_pool if counters is not None else None
    if special is not None and special.value:
        because.append(Reason(f"special pool is in use: {exact(special.value)}", special.where))
    check = system.bugcheck
    note = bugchecks.note(check.code) if check is not None else None
    if check is not None and note is not None and note.about in ("verifier", "special-pool"):
        because.append(
            Reason(f"bug check 0x{check.code:X} {note.name} comes from Driver Verifier or special pool", check.where)
        )
    if not because:
        if verifier is not None:
            return ruled_out(ID, "Driver Verifier is not active")
        if special is not None:
            return ruled_out(
                ID,
                "no special pool is in use",
                confidence=Confidence.MEDIUM,
                next_steps=("`!verifier` would say whether other options are on",),
            )
        return not_assessed(ID, "nothing tells whether Driver Verifier runs", "run `!verifier`")
    drivers = ", ".join(d.name for d in verifier.drivers[:5]) if verifier is not None else ""
    return Finding(
        pattern=ID,
        verdict=Verdict.FOUND,
        severity=Severity.INFO,
        confidence=Confidence.HIGH,
        headline="Driver Verifier or special pool is active" + (f" ({drivers})" if drivers else ""),
        subject=Subject(),
        because=tuple(because),
        explains=(
            "more pool and PTEs in use than the drivers ask for: special pool gives each block a page of its own",
        ),
        next_steps=("read usage and failures with this in mind; `verifier /reset` and a restart turn it off",),
    )

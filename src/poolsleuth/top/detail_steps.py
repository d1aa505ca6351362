"""What to do next about a tag, with commands that can be typed as they stand."""

import re
from collections.abc import Iterable

from poolsleuth.model.finding import Severity
from poolsleuth.model.report import ReportFinding
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.windows.tag_notes import TagNote

DRIVERS_FOLDER = r"C:\Windows\System32\drivers"
# Nothing that ends a quoted word, or that cmd.exe, PowerShell or a Unix shell expands in it, or that ends a command of
# ours where one is shown; no "-" in front, which begins an option
_SAFE = re.compile(r"(?!-)[A-Za-z0-9_ .,:;+*?#@~=\[\]{}()<>/|&-]{1,4}", re.ASCII)
_BARE = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,4}", re.ASCII)
_DRIVER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}\.sys", re.ASCII | re.IGNORECASE)
_SORTED = {PoolKind.NONPAGED: 2, PoolKind.PAGED: 4}  # the flag of !poolused that sorts by the pool
_SESSION_POOL = 8


def typed_tag(tag: str) -> str | None:
    """The tag as it is typed behind a command; None where it has characters that no prompt takes safely."""
    if _BARE.fullmatch(tag):
        return tag
    return f'"{tag}"' if _SAFE.fullmatch(tag) and tag.strip() else None


def accuses(finding: ReportFinding) -> bool:
    """Whether a finding says that something is wrong: load that comes and goes is found, but accuses nobody."""
    return finding.holds and finding.severity is not Severity.INFO


def steps_for(
    key: TagKey, note: TagNote | None, driver: str | None, findings: Iterable[ReportFinding]
) -> tuple[str, ...]:
    """Next steps in whole sentences, each once; commands stand in backticks.

    Those of findings that hold come first. For a tag that nobody accuses: what our note says, who allocates it, whether
    it grows. ``driver`` is the file that is known for sure to write the tag.
    """
    findings = [finding for finding in findings if finding.holds]
    steps = [step for finding in findings for step in finding.next_steps]
    if any(accuses(finding) for finding in findings):
        steps += _suspected(key, driver)
    else:
        if note is not None:
            steps.append(note.next_step)
        steps += _unaccused(key, driver, judged=bool(findings))
    return tuple(dict.fromkeys(steps))


def _suspected(key: TagKey, driver: str | None) -> list[str]:
    tag = typed_tag(key.tag)
    steps = _who(tag, driver)
    if tag is not None:
        steps.append(f"catch who allocates it, with stacks: `poolsleuth collect --tag {tag}` prints the commands")
    if driver is not None and _DRIVER.fullmatch(driver):
        steps.append(
            f"let Windows count its blocks (pool tracking; needs a restart): `verifier /flags 8 /driver {driver}`,"
            f" later `!verifier 3 {driver}` in a dump lists what it has not freed"
        )
    return steps


def _unaccused(key: TagKey, driver: str | None, *, judged: bool) -> list[str]:
    tag = typed_tag(key.tag)
    steps = _who(tag, driver)
    if not judged:
        steps.append(
            "see whether it only grows: `poolsleuth record pool.parquet --every 60s --for 8h`, then"
            " `poolsleuth diagnose pool.parquet`"
        )
    if tag is not None and tag == key.tag:
        flag = _SESSION_POOL if key.session is not None else _SORTED.get(key.pool, _SESSION_POOL)
        steps.append(f"in a debugger or a dump: `!poolused {flag} {tag}`")
    return steps


def _who(tag: str | None, driver: str | None) -> list[str]:
    if driver is not None:
        return []
    if tag is None:
        return ["find who allocates it in a crash dump: the tag has characters that no command line takes"]
    return [f"find the driver whose code allocates it: `poolsleuth whois {tag} {DRIVERS_FOLDER}`"]

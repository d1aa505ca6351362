"""How a pattern is run: its signature says what it needs, and a missing need is answered here, in one place."""

import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from poolsleuth import patterns
from poolsleuth.model.facts import Fact
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.memory import FileCache, MemoryCounters, MemoryUsage, SystemPtes
from poolsleuth.model.modules import ModuleList, UnloadedModules
from poolsleuth.model.pool import PoolBlockList, PoolMap, PoolPage, PoolValidation
from poolsleuth.model.system import BugCheck, ProcessList, ResourceLock, VerifierState
from poolsleuth.model.tag_code import DriverFilesSearch, TagUser
from poolsleuth.model.tags import TagDescription
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.courses import Courses, courses_of
from poolsleuth.patterns.views import PoolStates, SessionStates, TagView, pool_states, session_states, tag_view

Judge = Callable[..., Finding | Iterable[Finding]]

# What would supply a need that is missing: the command to run, per kind of evidence
SUPPLIED_BY: dict[type, str] = {
    MemoryCounters: "run `!vm` (or give the crash dump)",
    PoolStates: "run `!vm` (or give the crash dump)",
    SessionStates: "run `!vm 4`",
    TagView: "run `!poolused 2` and `!poolused 4`, whole tables without /t (or give a poolmon snapshot)",
    SystemPtes: "run `!sysptes`",
    ResourceLock: "run `!locks`",
    ProcessList: "run `!process 0 0`",
    UnloadedModules: "run `lm` (the unloaded modules stand at its end)",
    ModuleList: "run `lm`",
    VerifierState: "run `!verifier`",
    BugCheck: "run `!analyze -v`",
    PoolPage: "run `!pool <address>` on pages of the pool",
    PoolBlockList: "run `!poolfind <tag>`",
    PoolValidation: "run `!poolval <address>`",
    PoolMap: "run `!xpool -map`",
    MemoryUsage: "run `!memusage`",
    FileCache: "run `!filecache`",
    Courses: "record counters and poolmon snapshots for a day: `poolsleuth collect` prints the commands",
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One diagnosis: its id (the file's name with dashes) and its judgement."""

    id: str
    judge: Judge


@cache
def all_patterns() -> tuple[Pattern, ...]:
    """Every pattern of this folder: each file that has an ``ID`` and a ``judge``."""
    found = []
    for module in pkgutil.iter_modules(patterns.__path__, patterns.__name__ + "."):
        loaded = importlib.import_module(module.name)
        if hasattr(loaded, "ID"):
            found.append(Pattern(loaded.ID, loaded.judge))
    return tuple(sorted(found, key=lambda pattern: pattern.id))


class Evidence:
    """One machine's evidence by type: what a pattern's parameters are filled from."""

    def __init__(
        self,
        machine: Machine,
        descriptions: Iterable[TagDescription] = (),
        files: Iterable[TagUser | DriverFilesSearch] = (),
    ) -> None:
        self._machine = machine
        self._views: dict[type, Any] = {
            Machine: machine,
            System: machine.system,
            PoolStates: pool_states(machine),
            SessionStates: session_states(machine),
            TagView: tag_view(machine),
            Attribution: Attribution(machine, descriptions, files),
            Courses: courses_of(machine),
        }

    def one(self, kind: type) -> Any:
        """A view, or the last fact of this type; None when there is none."""
        if kind in self._views:
            return self._views[kind]
        return self._machine.latest(kind)

    def every(self, kind: type[Fact]) -> tuple[Fact, ...]:
        """All facts of this type."""
        return tuple(self._machine.all(kind))


def run(pattern: Pattern, evidence: Evidence) -> tuple[Finding, ...]:
    """The pattern's findings; ``not-assessed`` with what to run when something it needs is missing."""
    arguments: dict[str, Any] = {}
    missing: list[type] = []
    for name, hint in _needs(pattern.judge).items():
        optional, many, kind = _kind(hint)
        if many:
            arguments[name] = evidence.every(kind)
            if not optional and not arguments[name]:
                missing.append(kind)
        else:
            arguments[name] = evidence.one(kind)
            if not optional and arguments[name] is None:
                missing.append(kind)
    if missing:
        return (_not_assessed(pattern.id, missing),)
    result = pattern.judge(**arguments)
    return (result,) if isinstance(result, Finding) else tuple(result)


@cache
def _needs(judge: Judge) -> dict[str, Any]:
    hints = typing.get_type_hints(judge)
    return {name: hints[name] for name in inspect.signature(judge).parameters}


def _kind(hint: Any) -> tuple[bool, bool, type]:
    """(optional, many, type) of a parameter: ``X``, ``X | None``, ``tuple[X, ...]`` (may be empty: optional)."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        _, many, kind = _kind(inner[0])
        return True, many, kind
    if origin is tuple:
        return True, True, typing.get_args(hint)[0]
    return False, False, hint


def _not_assessed(pattern: str, missing: Iterable[type]) -> Finding:
    steps = tuple(dict.fromkeys(SUPPLIED_BY.get(kind, f"supply {kind.__name__}") for kind in missing))
    return not_assessed(pattern, "the evidence does not hold what this needs", *steps)


def not_assessed(pattern: str, why: str, *next_steps: str, **more: Any) -> Finding:
    """A finding that says the evidence cannot answer, why, and which command would."""
    return Finding(
        pattern=pattern,
        verdict=Verdict.NOT_ASSESSED,
        severity=Severity.INFO,
        confidence=Confidence.LOW,
        headline=why,
        next_steps=next_steps,
        **more,
    )


def ruled_out(pattern: str, headline: str, **more: Any) -> Finding:
    """A finding that says the evidence speaks against it."""
    return Finding(
        pattern=pattern,
        verdict=Verdict.RULED_OUT,
        severity=Severity.INFO,
        confidence=more.pop("confidence", Confidence.HIGH),
        headline=headline,
        **more,
    )

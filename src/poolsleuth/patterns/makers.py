"""Who makes the blocks of a tag: what the code of drivers says, weighed, with what speaks against it.

Whose code allocates is the tag's owner. Who keeps the blocks alive, or asks for them, is another question.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding
from poolsleuth.model.machine import Machine
from poolsleuth.model.tag_code import CodeUse, DriverFilesSearch, TagSearch, TagUser
from poolsleuth.patterns.wording import plural, size

FIND_DRIVER = "find the driver: "  # how steps begin that lead from a tag to its driver
MAX_NAMED = 6  # drivers that a sentence names
_SHOWN = 3  # places that a sentence names

_SAYS: dict[CodeUse, str] = {
    CodeUse.ALLOCATES: "allocates with tag {tag}: {calls}",
    CodeUse.SEEMS: "seems to allocate with tag {tag}: {calls} (a variable's first value, or a push that only looks like"
    " the argument)",
    CodeUse.FREES: "frees memory of tag {tag}: {calls}",
    CodeUse.TURNED: "allocates with the letters of {tag} the other way round: {calls}; that memory bears another tag",
    CodeUse.CONSTANT: "has {tag} as a constant in its code, at no call that is known ({places}): a hint",
    CodeUse.DATA: "has the four bytes of {tag} in its data ({places}): a table or a variable, which proves nothing",
}
_STRONG = (CodeUse.ALLOCATES, CodeUse.SEEMS, CodeUse.FREES)


@dataclass(frozen=True, slots=True)
class Makers:
    """Who may have made the blocks of one tag.

    ``driver`` is the one that is named, None when nobody is, or several are: ``drivers`` are all whose code allocates
    with the tag, the likeliest first. ``confidence`` is that of the name (or the names), None when there is none.
    ``windows``: it is the part of Windows that is known to use the tag. It writes the blocks for others as a rule, so
    that it is not accused. ``shared``: many drivers use the tag by default, and it accuses none of them.
    ``by_import``: they are known by what they import, not by a call with the tag. ``hints`` are drivers that have the
    tag in their code or data, at no call that allocates with it. ``unseen``: code of loaded modules that may allocate
    with it was not seen.
    """

    tag: str
    drivers: tuple[str, ...]
    confidence: Confidence | None
    because: tuple[Reason, ...]
    against: tuple[Reason, ...]
    windows: bool = False
    shared: bool = False
    by_import: bool = False
    hints: tuple[str, ...] = ()
    unseen: bool = False

    @property
    def driver(self) -> str | None:
        """The only one, if there is one that may be accused."""
        return self.drivers[0] if len(self.drivers) == 1 and not (self.windows or self.shared) else None

    @property
    def allocated_by(self) -> str:
        """A few words for a list of tags; empty when nobody is named."""
        if self.driver is None or self.confidence is Confidence.LOW or self.by_import:
            return ""
        return f"{'' if self.confidence is Confidence.HIGH else 'probably '}allocated by {self.driver}"

    @property
    def headline(self) -> str:
        """What a headline says of it; empty when nobody is named."""
        if not self.drivers or self.windows:
            return ""
        names = " and ".join(self.drivers[:2]) + (
            f" and {len(self.drivers) - 2:,} more" if len(self.drivers) > 2 else ""
        )
        if self.by_import:
            verb = "import" if len(self.drivers) > 1 else "imports"
            only = "" if len(self.drivers) > 1 else "only "
            if only and self.shared:
                only = "of the drivers that are no part of Windows only "
            return f"; {only}{names} {verb} what takes such memory"
        if len(self.drivers) > 1:
            return f"; {names} allocate with this tag"
        if self.shared:
            return f"; of the drivers whose code was seen only {names} allocates with this tag"
        if self.confidence is Confidence.HIGH:
            return f"; it is {names} that allocates with this tag"
        return f"; {names} allocates with this tag ({self.confidence} confidence that it is the only one)"


@dataclass(slots=True)
class _Driver:
    """What is known of one driver: in a dump, in a file, or both."""

    name: str
    uses: dict[CodeUse, TagUser]
    loaded: bool | None  # None: no complete list says
    base: int | None = None


class CodeOfDrivers:
    """What the code of drivers says of tags: of the modules in a dump, and of files that were given."""

    def __init__(self, machine: Machine, files: Iterable[TagUser | DriverFilesSearch] = ()) -> None:
        files = list(files)
        self._users = [*machine.all(TagUser), *(fact for fact in files if isinstance(fact, TagUser))]
        self._search = machine.latest(TagSearch)
        self._files = [fact for fact in files if isinstance(fact, DriverFilesSearch)]

    def makers(
        self,
        tag: str,
        loaded: Mapping[str, object],
        *,
        loaded_complete: bool,
        named: str | None,
        known: str | None,
        shared: bool,
        gone: Iterable[tuple[str, int]],
    ) -> Makers | None:
        """Who may have made the blocks of a tag; None when the code of no driver was searched for it.

        ``loaded`` are file names (in small letters) of loaded modules; ``named`` is the file that a list gives the tag
        to, ``known`` the part of Windows that is known to use it, ``shared`` tells a tag that many drivers use by
        default, ``gone`` are unloaded drivers named like the tag and how often they were unloaded.
        """
        search = self._search if self._search is not None and tag in self._search.tags else None
        files = [fact for fact in self._files if tag in fact.tags]
        if search is None and not files:
            return None
        drivers = self._drivers(tag, loaded, loaded_complete=loaded_complete or search is not None)
        sure = [d for d in drivers if CodeUse.ALLOCATES in d.uses]
        there = [d for d in sure if d.loaded is not False]
        because = [reason for driver in _ranked(drivers) for reason in _reasons(tag, driver)]
        against = [
            Reason(f"{d.name} is not among the loaded modules: its file was given, but it runs on this machine no more")
            for d in sure
            if d.loaded is False
        ]
        unseen = _Unseen.of(search)
        candidates = there or [d for d in drivers if CodeUse.SEEMS in d.uses and d.loaded is not False]
        confidence = None
        if candidates:
            confidence = _confidence(candidates, bool(there), named, shared or known is not None, unseen)
        for driver in candidates:
            seen = driver.uses.get(CodeUse.ALLOCATES)
            if search is not None and seen is not None and seen.base is None:
                against.append(Reason(f"only the file of {driver.name} shows it: in the dump the call was not seen"))
                confidence = Confidence.MEDIUM if confidence is Confidence.HIGH else confidence
        others = [d.name for d in candidates]
        windows = known is not None and [_stem(name) for name in others] == [_stem(known.partition("!")[0])]
        if len(candidates) > 1:
            against.append(
                Reason(f"{len(candidates):,} drivers allocate with tag {tag}: the totals do not say whose blocks leak")
            )
        if known is not None and candidates and not windows:
            against.append(
                Reason(f"{tag} is also a tag of Windows itself ({known}): its blocks may be that part's, or both's")
            )
        if shared and candidates:
            against.append(Reason(f"{tag} is a default tag that drivers share: others may use it by another way"))
        stems = {_stem(d.name) for d in candidates}
        for name, times in gone:
            if _stem(name) not in stems and candidates:
                against.append(
                    Reason(
                        f"{name}, which was unloaded {plural(times, 'time')}, is named like the tag: its code is gone"
                    )
                )
                confidence = Confidence.MEDIUM if confidence is Confidence.HIGH else confidence
        if search is not None:
            if not candidates:
                because.append(Reason(_nobody(tag, search), search.where))
            against += unseen.reasons(search)
        elif not candidates:
            drivers_of = sum(fact.drivers for fact in files)
            because.append(Reason(f"in none of the {plural(drivers_of, 'driver file')} given is tag {tag} at a call"))
        return Makers(
            tag,
            tuple(others[:MAX_NAMED]),
            confidence,
            tuple(because),
            tuple(against),
            windows,
            shared,
            hints=tuple(d.name for d in _ranked(drivers) if d.name not in others and d.loaded is not False),
            unseen=search is not None and unseen.serious,
        )

    def _drivers(self, tag: str, loaded: Mapping[str, object], *, loaded_complete: bool) -> list[_Driver]:
        found: dict[str, _Driver] = {}
        users = [user for user in self._users if user.use.tag == tag]
        stamps = {(u.driver or "").casefold(): u.timestamp for u in users if u.base is not None and u.timestamp}
        for user in users:
            name = user.driver or f"the module at 0x{user.base or 0:x}"
            if user.base is None and stamps.get(name.casefold(), user.timestamp) != user.timestamp:
                other = f"another build of {name}"
                found.setdefault(other, _Driver(other, {}, loaded=False)).uses.setdefault(user.use.use, user)
                continue
            is_loaded = user.base is not None or name.casefold() in loaded or (None if not loaded_complete else False)
            driver = found.setdefault(name.casefold(), _Driver(name, {}, is_loaded, user.base))
            driver.loaded = driver.loaded or is_loaded
            driver.base = user.base if driver.base is None else driver.base
            driver.uses.setdefault(user.use.use, user)  # that of the dump comes first
        return list(found.values())


@dataclass(frozen=True, slots=True)
class _Unseen:
    """What of a dump was not seen, and how much that matters. ``serious``: another driver may well do the same."""

    serious: bool

    @classmethod
    def of(cls, search: TagSearch | None) -> "_Unseen":
        if search is None:
            return cls(serious=True)  # only files were looked at: the machine may run other drivers
        return cls(bool(search.unseen or search.unfinished or search.unread_code) or not search.whole_list)

    def reasons(self, search: TagSearch) -> Iterable[Reason]:
        if not search.whole_list:
            yield Reason("the list of loaded modules is not whole in this dump: others may use the tag", search.where)
        if search.unseen:
            yield Reason(
                f"of {plural(len(search.unseen), 'module')} no code is in this dump ({_names(search.unseen)}): they may"
                " use the tag too",
                search.where,
            )
        if search.unfinished:
            yield Reason(
                f"{plural(len(search.unfinished), 'module')} hold the tag's bytes and were not read for want of time"
                f" ({_names(search.unfinished)}): `poolsleuth whois` reads them",
                search.where,
            )
        missing = [
            f"{size(count)} of {what} code of {plural(modules, 'module')}"
            for count, modules, what in (
                (search.unread_code, search.partial, "resident"),
                (search.unread_pageable, search.paged, "pageable"),
            )
            if count
        ]
        if missing:
            yield Reason(f"{' and '.join(missing)} are not in this dump: a use of the tag may lie there", search.where)


def _confidence(candidates: list[_Driver], sure: bool, named: str | None, shared: bool, unseen: _Unseen) -> Confidence:
    """High for the only one, when all resident code was seen or a second witness says the same, and no one else is
    known to use the tag."""
    if len(candidates) > 1 or not sure:
        return Confidence.MEDIUM if sure else Confidence.LOW
    if shared:
        return Confidence.MEDIUM
    (only,) = candidates
    listed = named is not None and _stem(named) == _stem(only.name)
    if named is not None and not listed and named.casefold().endswith(".sys"):
        return Confidence.MEDIUM
    return Confidence.HIGH if listed or not unseen.serious else Confidence.MEDIUM


def _ranked(drivers: list[_Driver]) -> list[_Driver]:
    order = list(CodeUse)
    return sorted(drivers, key=lambda d: (min(order.index(use) for use in d.uses), d.name.casefold()))[:MAX_NAMED]


def _reasons(tag: str, driver: _Driver) -> Iterable[Reason]:
    strong = any(use in driver.uses for use in _STRONG)
    for use, user in sorted(driver.uses.items(), key=lambda item: list(CodeUse).index(item[0])):
        if strong and use in (CodeUse.CONSTANT, CodeUse.DATA):
            continue  # it says nothing new
        calls = f"{plural(user.use.count, 'call')} of {', '.join(user.use.functions)} at {_places(user)}"
        text = _SAYS[use].format(tag=tag, calls=calls, places=_places(user))
        file = " (its file)" if user.base is None else ""
        yield Reason(f"{driver.name}{file} {text}", user.where)


def _places(user: TagUser) -> str:
    shown = [f"{user.driver or 'base'}+0x{place:x}" for place in user.use.places[:_SHOWN]]
    more = user.use.count - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _nobody(tag: str, search: TagSearch) -> str:
    seen = search.modules - len(search.unseen) - len(search.unfinished)
    return f"the code of {seen:,} of {search.modules:,} loaded modules was searched: none allocates with tag {tag}"


def _names(names: tuple[str | None, ...]) -> str:
    shown = [name or "one without a name" for name in names[:MAX_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _stem(name: str) -> str:
    return name.casefold().rsplit(".", 1)[0]


def with_makers(finding: Finding, makers: Makers | None) -> Finding:
    """A finding about a tag with what the code of drivers says of who made its blocks.

    The driver is the finding's subject when it is the only one whose code has the tag: who only imports what takes such
    memory can ask for it, and is told, but not accused. What a list has said before stays when the code says nothing.
    """
    if makers is None or not (makers.because or makers.against):
        return finding
    subject = finding.subject
    one = makers.driver if makers.confidence is not Confidence.LOW and not makers.by_import else None
    if one is not None:
        subject = replace(subject, driver=one)
    elif len(makers.drivers) > 1:
        subject = replace(subject, driver=None)
    steps = finding.next_steps
    if one is not None:
        steps = (
            *(step for step in steps if not step.startswith(FIND_DRIVER)),
            f"`lmvm {_stem(one)}` says whose {one} is: update it, or stop its product and watch tag"
            f" {makers.tag} with poolmon; it must stop growing",
        )
    return replace(
        finding,
        next_steps=steps,
        headline=finding.headline + makers.headline,
        subject=subject,
        because=(*finding.because, *makers.because),
        against=(*finding.against, *makers.against),
    )

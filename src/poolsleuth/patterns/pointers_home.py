"""Blocks point home: what a sample of a tag's blocks says of their owner, of who keeps them, and of what they keep.

The owner is the driver that made the blocks: its code's address stands at one offset in nearly all of them. The
retainer is what still holds their addresses. The victim is what they hold in turn: it grows because they do.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from poolsleuth.model.block_pointers import BlockPointers, PointerHolder, PointerSign, PointsTo
from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Roles, Verdict
from poolsleuth.model.tags import PoolKind, TagRow
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.makers import FIND_DRIVER, Makers
from poolsleuth.patterns.tag_knowledge import family_hint, sure_note
from poolsleuth.patterns.thresholds import (
    POINTERS_BLOCKS,
    POINTERS_ELSEWHERE,
    POINTERS_HELD,
    POINTERS_HOME,
    POINTERS_MET,
    POINTERS_NAMED,
    POINTERS_SEEN,
)
from poolsleuth.patterns.wording import percent
from poolsleuth.windows import tag_notes
from poolsleuth.windows.own_modules import is_windows_module
from poolsleuth.windows.tag_notes import Role

MAX_TOLD = 4  # reasons of one kind: more of them say the same
MIN_ELSEWHERE = 4  # blocks: of a handful one may be like the others by chance
_SHARED = (Role.GENERIC, Role.UNTAGGED)


@dataclass(frozen=True, slots=True)
class Home:
    """What the blocks of one tag tell.

    ``owner`` is the one driver whose code they point at, None when there is none, there are several, or it is a part of
    Windows; ``gone``: it is an unloaded one. ``sure``: enough blocks were seen, and most of those that the tag has, to
    name it by them, and nothing points at somebody else who may have made them and only calls that driver back.
    ``known``: the tag is one of Windows itself, or looks like those of a part of it, so that a driver in its blocks
    is one that asked for them, and not the owner. ``retainers`` are other drivers that hold the blocks' addresses.
    ``victims`` are tags and objects that each block holds one of. ``address`` is that of one of the blocks.
    """

    tag: str
    owner: str | None
    gone: bool
    known: bool
    retainers: tuple[str, ...]
    victims: tuple[str, ...]
    because: tuple[Reason, ...]
    against: tuple[Reason, ...]
    sure: bool
    address: int | None = None

    def headline(self, *, named: bool) -> str:
        """What a headline says of it; empty when nobody is to be named. ``named``: the owner stands there already."""
        who = []
        if self.owner is not None and not named and not self.known:
            was = ", which was unloaded" if self.gone else ""
            if self.sure:
                who.append(f"probable owner: {self.owner}{was} (the blocks point at its code)")
            else:
                who.append(f"those blocks that were seen point at the code of {self.owner}{was}")
        if self.retainers:
            who.append(f"retainer: {' and '.join(self.retainers[:2])} (holds the addresses of the blocks)")
        return "; " + ", ".join(who) if who else ""

    @property
    def roles(self) -> Roles | None:
        """The roles, for a program that reads the report; None when none of them is known."""
        owner = self.owner if self.sure and not self.known else None
        roles = Roles(owner, self.retainers, self.victims)
        return None if roles == Roles() else roles


class Homes:
    """What the blocks of all sampled tags tell, by tag and pool."""

    def __init__(self, pointers: Iterable[BlockPointers], owners: Attribution) -> None:
        self._owners = owners
        self._facts = {(fact.tag, fact.pool): fact for fact in pointers}

    def fact(self, tag: str, pool: PoolKind) -> BlockPointers | None:
        """The sample of a tag's blocks; None when there is none, or it is too small to say anything."""
        fact = self._facts.get((tag, pool))
        return fact if fact is not None and fact.read >= POINTERS_BLOCKS.value else None

    def home(self, row: TagRow) -> Home | None:
        """What the blocks of a row's tag tell; None when they were not sampled, or tell nothing."""
        fact = self.fact(row.tag, row.pool)
        if fact is None:
            return None
        note = sure_note(row)
        owner = self._owners.owner(row)
        listed = owner.binary if owner is not None else None
        known = note is not None and note.role not in _SHARED and not (note.binary is None and note.role is Role.OTHER)
        known |= listed is not None and is_windows_module(listed.partition("!")[0])
        hint = family_hint(row)
        known |= hint is not None and hint.binary is not None and is_windows_module(hint.binary.partition("!")[0])
        candidates = self._candidates(fact)
        only = candidates[0] if len(candidates) == 1 else None
        gone = only is not None and only.to is PointsTo.UNLOADED
        doubts = list(self._doubts(fact, row, only)) if only is not None else []
        retainers = self._retainers(fact, {sign.name for sign in candidates})
        because = [*self._signs(fact), *_held(fact), *self._holders(fact)]
        if not because:
            return None
        return Home(
            tag=row.tag,
            owner=None if only is None else only.name,
            gone=gone,
            known=known,
            retainers=tuple(dict.fromkeys(retainers)),
            victims=tuple(
                sign.name
                for sign in fact.signs
                if sign.to in (PointsTo.TAG, PointsTo.OBJECT) and _share(sign, fact) >= POINTERS_HOME.value
            ),
            because=tuple(because),
            against=(*self._against(fact, row, candidates, known=known), *doubts),
            address=fact.where.address,
            sure=not doubts
            and fact.read >= POINTERS_NAMED.value
            and fact.seen >= POINTERS_SEEN.value * (row.outstanding or 0),
        )

    def is_windows(self, module: str) -> bool:
        """Whether a module is a part of Windows, by its name or by the company that its version resource names."""
        loaded = self._owners.loaded.get(module.casefold())
        return is_windows_module(module, None if loaded is None else loaded.company)

    def _candidates(self, fact: BlockPointers) -> list[PointerSign]:
        """The drivers that are no part of Windows and whose code nearly all blocks point at, each once.

        After them those that the same blocks point at elsewhere than in code: in a block of another driver, a routine
        may be a guest's.
        """
        found: dict[str, PointerSign] = {}
        other: dict[str, PointerSign] = {}
        for sign in self._home(fact):
            is_code = sign.to is PointsTo.UNLOADED or bool(sign.code)
            for name in (sign.name, *sign.others):
                if not self.is_windows(name):
                    (found if is_code else other).setdefault(name.casefold(), replace(sign, name=name))
        return [*found.values(), *(other[name] for name in other if found and name not in found)]

    def _home(self, fact: BlockPointers) -> list[PointerSign]:
        """The signs of modules, loaded or not, in nearly all blocks, without those that were there before."""
        return [
            sign
            for sign in fact.signs
            if sign.to in (PointsTo.MODULE, PointsTo.UNLOADED)
            and _share(sign, fact) >= POINTERS_HOME.value
            and not _was_there_before(sign, fact)
        ]

    def _doubts(self, fact: BlockPointers, row: TagRow, only: PointerSign) -> Iterable[Reason]:
        """Who else may have made the blocks, and only calls back the driver ``only`` that they point at."""
        makers = self._owners.makers(row)
        if makers is not None and any(same_driver(name, only.name) for name in (*makers.drivers, *makers.hints)):
            return  # its code has the tag, too
        frames = dict.fromkeys(s.name for s in self._home(fact) if s.code and self.is_windows(s.name))
        if frames:
            names = ", ".join(list(frames)[:MAX_TOLD])
            yield Reason(
                f"the blocks point at code of {names}, too, a part of Windows: it may have made them, and call"
                f" {only.name} back"
            )
        if makers is None:
            return
        hints = [name for name in makers.hints if not self.is_windows(name)]
        if hints:
            have = "has" if len(hints) == 1 else "have"
            yield Reason(
                f"{' and '.join(hints[:MAX_TOLD])} {have} the letters of {row.tag} in code or data, and {only.name} was"
                " not seen to: the blocks may be made there, and only call it back"
            )
        if makers.unseen and only.to is PointsTo.UNLOADED and not makers.drivers:
            yield Reason(
                f"not all code of the loaded drivers is in this dump: one of them may make the blocks of {row.tag}, and"
                f" have called {only.name} back"
            )

    def _signs(self, fact: BlockPointers) -> list[Reason]:
        told: list[Reason] = []
        modules = [s for s in fact.signs if s.to is PointsTo.MODULE and _share(s, fact) >= POINTERS_MET.value]
        gone = [s for s in fact.signs if s.to is PointsTo.UNLOADED and _share(s, fact) >= POINTERS_MET.value]
        third = [sign for sign in modules if not self.is_windows(sign.name)]
        told += [Reason(_points(sign, fact), fact.where) for sign in [*gone, *third][:MAX_TOLD]]
        own = [sign for sign in modules if self.is_windows(sign.name)]
        if own and not told:
            says = f"{_points(own[0], fact)}: a part of Windows, which tells what they are made for, not by whom"
            told.append(Reason(says, fact.where))
        return told

    def _holders(self, fact: BlockPointers) -> list[Reason]:
        told = []
        for holder in _strong_holders(fact)[:MAX_TOLD]:
            count = f"{holder.blocks:,} of {fact.read:,} sampled blocks of {fact.tag}"
            if holder.by is PointsTo.MODULE:
                says = f"the data of {holder.name} holds the addresses of {count}, from +0x{holder.relative or 0:x} on"
                says += ": a part of Windows" if self.is_windows(holder.name) else ""
            else:
                says = f"{holder.holders:,} blocks of tag {holder.name} hold the addresses of {count}"
            told.append(Reason(says, fact.where))
        if fact.linked >= POINTERS_HOME.value * fact.read:
            told.append(
                Reason(
                    f"the sampled blocks of {fact.tag} are linked with each other: a list that somebody keeps",
                    fact.where,
                )
            )
        elif not told and not fact.objects and fact.searched_pages == fact.all_pages:
            told.append(
                Reason(
                    "nothing in the pool or in the data of modules holds an address of the sampled blocks of"
                    f" {fact.tag}: they look forgotten (stacks are not searched, nor addresses that are kept in code)",
                    fact.where,
                )
            )
        return told

    def _retainers(self, fact: BlockPointers, owners: set[str]) -> Iterable[str]:
        """Drivers that hold the blocks' addresses in their data, or whose blocks do."""
        for holder in _strong_holders(fact):
            names = [holder.name]
            if holder.by is PointsTo.TAG:
                names = [
                    sign.name
                    for pool in (PoolKind.NONPAGED, PoolKind.PAGED)
                    if (other := self.fact(holder.name, pool)) is not None
                    for sign in self._candidates(other)
                ]
                names = names if len(names) == 1 else []
            yield from (name for name in names if name not in owners and not self.is_windows(name))

    def _against(
        self, fact: BlockPointers, row: TagRow, candidates: list[PointerSign], *, known: bool
    ) -> Iterable[Reason]:
        stale = [sign for sign in fact.signs if _was_there_before(sign, fact) and not self.is_windows(sign.name)]
        for sign in stale[:MAX_TOLD]:
            yield Reason(
                f"{sign.elsewhere:,} of {fact.compared:,} blocks of other tags, as large as these, hold the same at"
                f" offset 0x{sign.offset:x}: memory is not cleared, and {sign.name} may have left it there"
            )
        if len(candidates) > 1:
            names = ", ".join(sign.name for sign in candidates[:MAX_TOLD])
            yield Reason(f"the blocks point at several drivers ({names}): which of them made them is not known")
        if candidates and known:
            yield Reason(
                f"tag {row.tag} is one of Windows itself: a driver that its blocks point at has asked for them or waits"
                " for them, and need not keep them"
            )
        if candidates and row.outstanding and fact.seen < POINTERS_SEEN.value * row.outstanding:
            yield Reason(
                f"only {fact.seen:,} of {row.outstanding:,} blocks of {row.tag}"
                f" ({percent(fact.seen / row.outstanding)}) are in this dump: the others may be another driver's"
            )


def with_home(finding: Finding, home: Home | None, makers: Makers | None = None) -> Finding:
    """A finding about a tag with what its blocks tell.

    The driver that nearly all blocks point at becomes the subject only where no code and no list names another, the tag
    is not one of Windows itself, and the finding is a suspicion: of one that is certain it is the probable owner only.
    """
    if home is None:
        return finding
    subject, against = finding.subject, list(home.against)
    agrees = False
    if home.owner is not None:
        others = set(makers.drivers) if makers is not None else set()
        others |= {subject.driver} if subject.driver is not None else set()
        agrees = any(same_driver(home.owner, name) for name in others)
        if others and not agrees:
            against.append(
                Reason(
                    f"{' and '.join(sorted(others))} is named for the tag, and the blocks point at {home.owner}: one of"
                    " them may only be told when something is done (a callback)"
                )
            )
        elif not home.known and home.sure:
            if finding.verdict is not Verdict.FOUND:  # the leak is certain, and this name is not
                subject = replace(subject, driver=home.owner)
            says = (
                f"only what is in the blocks names {home.owner}: a driver that is called back by the one that made them"
                " would look the same, and so would one whose memory they got"
            )
            against += [] if agrees else [Reason(says)]
    explains = tuple(
        f"the victim {name}, of which each block of {home.tag} holds one" for name in home.victims[:MAX_TOLD]
    )
    return replace(
        finding,
        next_steps=_steps(finding, home, named=subject.driver is not None),
        headline=finding.headline + home.headline(named=agrees),
        subject=subject,
        because=(*finding.because, *home.because),
        against=(*finding.against, *against),
        explains=(*finding.explains, *explains),
        roles=home.roles,
    )


def _steps(finding: Finding, home: Home, *, named: bool) -> tuple[str, ...]:
    """The steps: who is known need not be looked for; who keeps the blocks is to be asked first."""
    steps = [step for step in finding.next_steps if not (named and step.startswith(FIND_DRIVER))]
    for name in home.retainers[:2]:
        steps.append(
            f"{name} keeps blocks of {home.tag}: update it, or stop its product, and watch the tag with poolmon; when"
            " it stops growing, the leak is there, whoever made the blocks"
        )
    if home.address is not None:
        steps.append(f"look at one of the blocks: `!pool {home.address:x}`, then `dps {home.address:x}`")
    return tuple(steps)


def confidence_in(home: Home) -> Confidence:
    """How sure it is that a tag's blocks are those of the driver that they point at."""
    return Confidence.HIGH if home.sure and not home.known else Confidence.MEDIUM


def _was_there_before(sign: PointerSign, fact: BlockPointers) -> bool:
    """Whether blocks of other tags hold the same at the same offset: then it need not be this tag's."""
    return sign.elsewhere >= MIN_ELSEWHERE and sign.elsewhere >= POINTERS_ELSEWHERE.value * fact.compared


def _share(sign: PointerSign, fact: BlockPointers) -> float:
    return sign.blocks / fact.read if fact.read else 0.0


def _points(sign: PointerSign, fact: BlockPointers) -> str:
    count = f"{sign.blocks:,} of {fact.read:,} sampled blocks of {fact.tag}"
    precise = sign.same >= POINTERS_MET.value * sign.blocks and sign.relative is not None
    where = f"{sign.name}+0x{sign.relative:x}" if precise else f"into {sign.name}"
    verb = "point at" if precise else "point"
    others = f" (or {', '.join(sign.others[:MAX_TOLD])}, which lay there, too)" if sign.others else ""
    if sign.to is PointsTo.UNLOADED:
        return f"{count} {verb} {where}{others}, which was unloaded, at offset 0x{sign.offset:x}"
    what = {True: " (code)", False: " (data)", None: ""}[sign.code]
    if sign.others:
        others = f", where {', '.join(sign.others[:MAX_TOLD])} lay before it was unloaded,"
    return f"{count} {verb} {where}{what}{others} at offset 0x{sign.offset:x}"


def _held(fact: BlockPointers) -> list[Reason]:
    """What the blocks hold themselves."""
    told = []
    for sign in fact.signs:
        if sign.to in (PointsTo.TAG, PointsTo.OBJECT) and _share(sign, fact) >= POINTERS_MET.value:
            what = f"an object of type {sign.name}" if sign.to is PointsTo.OBJECT else f"a block of tag {sign.name}"
            told.append(
                Reason(
                    f"{sign.blocks:,} of {fact.read:,} sampled blocks of {fact.tag} hold the address of {what} at"
                    f" offset 0x{sign.offset:x}",
                    fact.where,
                )
            )
    return told[:MAX_TOLD]


def _strong_holders(fact: BlockPointers) -> list[PointerHolder]:
    """Holders of so many sampled blocks that it is no chance. Where only a part of the pool was searched, a holder in
    the pool is weighed by that part."""
    part = min(1.0, fact.searched_pages / fact.all_pages) if fact.all_pages else 1.0
    found = []
    for holder in fact.holders:
        note = tag_notes.find(holder.name) if holder.by is PointsTo.TAG else None
        if note is not None and note.role is Role.POOL:
            continue  # the pool's own tables have every large allocation
        expected = fact.read * (part if holder.by is PointsTo.TAG else 1.0)
        if holder.blocks >= POINTERS_HELD.value * expected:
            found.append(holder)
    return found


def same_driver(first: str, second: str) -> bool:
    """Whether two names are those of one driver, with or without the end of a file's name."""
    return first.casefold().rsplit(".", 1)[0] == second.casefold().rsplit(".", 1)[0]

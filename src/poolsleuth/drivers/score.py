"""Who owns a tag: what each driver says, weighed, with what speaks against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PureWindowsPath

from poolsleuth.drivers.scope import Scope, doubts, gone, kilobytes, paged_out, times_text
from poolsleuth.drivers.summary import DriverSummary
from poolsleuth.drivers.survey import Looked
from poolsleuth.drivers.tag_bytes import within_text
from poolsleuth.drivers.tag_functions import CONTIGUOUS, DMA, FRAMEWORK, UNTAGGED, Use
from poolsleuth.drivers.tag_scan import TagUse
from poolsleuth.drivers.tags import alike, tag_text, turned
from poolsleuth.model.finding import Confidence
from poolsleuth.windows import tag_notes

# What each kind of evidence weighs. Only the order matters: no sum of weak ones reaches a call that allocates
AT_ALLOCATION = 100
AT_ALLOCATION_GUESS = 60  # the first value of a variable, or a push that looks like the argument
AT_FREE = 40
NAMED = 30  # a line of pooltag.txt, or our own note, names this file
IMPORTS_CALLED = 50  # of a function that gives memory this tag
IMPORTS_ONLY = 30
AS_OPERAND = 12
AS_COMPARED = 4
TURNED_AT_CALL = 10
ALIKE = 6  # its name begins like the tag
AS_DATA = 5
AT_REFERENCE = -20
LEAST = 5  # of a candidate

_KERNEL = frozenset({"ntoskrnl", "ntkrnlmp", "ntkrnlpa", "ntkrpamp"})
_SHOWN = 4  # places that a sentence names
_ALLOCATES = (Use.ALLOCATION, Use.LOOKASIDE)

WITHOUT_TAG: Mapping[str, tuple[frozenset[str], str]] = {
    "None": (UNTAGGED, "memory that was taken without a tag"),
    "MmCm": (CONTIGUOUS | DMA, "physically contiguous memory, which bears this tag whoever takes it"),
    "Cont": (CONTIGUOUS | DMA, "physically contiguous memory, which bears this tag whoever takes it"),
}
"""Tags that the kernel gives on a driver's behalf: the functions that lead to them, and what the memory is."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of ``pooltag.txt`` or ``localtag.txt`` about the tag; ``source`` is the file's name."""

    source: str
    binary: str | None
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A driver that may own the tag. ``places`` are all places of the tag in it, those at calls first.

    ``loaded`` says where it lies in a dump that was given, None when it is not known to be loaded.
    """

    name: str
    summary: DriverSummary
    score: int
    confidence: Confidence
    because: tuple[str, ...]
    against: tuple[str, ...]
    places: tuple[TagUse, ...]
    loaded: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The answer. ``candidates`` are ranked, the first is the likeliest; ``remarks`` hold for all of them.

    ``drivers`` counts the images that were looked at; ``problems`` are sentences about files that could not be used.
    """

    tag: str
    candidates: tuple[Candidate, ...]
    remarks: tuple[str, ...]
    drivers: int
    problems: tuple[str, ...]


def functions_for(tag: str) -> frozenset[str]:
    """The functions whose importers matter for a tag, because they bring memory with it that names no driver."""
    return WITHOUT_TAG[tag][0] if tag in WITHOUT_TAG else frozenset()


def names_for(tag: str, lines: Sequence[Line]) -> frozenset[str]:
    """Files, in small letters and without ending, that are said to use the tag."""
    note = tag_notes.find(tag)
    binaries = [line.binary for line in lines] + [None if note is None else note.binary]
    return frozenset().union(*(_stems(binary) for binary in binaries if binary))


def _stems(binary: str) -> frozenset[str]:
    """``nt!mm`` means the kernel, whatever its file is called."""
    stem = PureWindowsPath(binary.partition("!")[0].lower()).stem
    return _KERNEL if stem in ("nt", *_KERNEL) else frozenset({stem})


@dataclass(slots=True)
class _Weighing:
    looked: Looked
    summary: DriverSummary
    score: int = 0
    because: list[str] = field(default_factory=list)
    against: list[str] = field(default_factory=list)
    allocates: bool = False  # for certain
    frees: bool = False
    guesses: bool = False
    named: bool = False
    alike: bool = False
    imports: bool = False
    absent: bool = False  # from the machine of a dump
    rivals: bool = False  # drivers that are gone are named like the tag
    in_text: list[TagUse] = field(default_factory=list)
    places: list[TagUse] = field(default_factory=list)

    def add(self, weight: int, says: str) -> None:
        self.score += weight
        (self.because if weight > 0 else self.against).append(says)


def judge(tag: int, looked: Sequence[Looked], lines: Sequence[Line] = (), scopes: Sequence[Scope] = ()) -> Ownership:
    """Weigh what drivers say about a tag; ``scopes`` are the dumps among what was given."""
    text = tag_text(tag)
    weighed = [_weigh(tag, text, one, one.summary, lines) for one in looked if one.summary is not None]
    owners = [one for one in weighed if one.score >= LEAST]
    certain = [one for one in owners if one.allocates]
    importers = [one for one in owners if one.imports]
    doubtful = [sentence for scope in scopes for sentence in doubts(scope, looked)]
    for one in owners:
        _weigh_presence(one, tag, scopes)
    candidates = [
        Candidate(
            name=one.looked.name,
            summary=one.summary,
            score=one.score,
            confidence=_lowered(_confidence(one, certain, importers, _shared(text)), one, bool(doubtful)),
            because=tuple(one.because),
            against=tuple(one.against + _others(one, certain)),
            places=tuple(one.places),
            loaded=one.looked.loaded,
        )
        for one in sorted(owners, key=lambda one: (-one.score, one.looked.name))
    ]
    return Ownership(
        tag=text,
        candidates=tuple(candidates),
        remarks=(
            *_remarks(text, lines, len(weighed) - len(owners)),
            *(sentence for scope in scopes for sentence in gone(tag, scope)),
            *doubtful,
            *(sentence for scope in scopes for sentence in paged_out(scope, looked)),
            *(f"{scope.dump}: {note}" for scope in scopes for note in scope.notes),
        ),
        drivers=sum(one.driver for one in looked),
        problems=tuple(one.problem for one in looked if one.problem is not None),
    )


def _weigh_presence(one: _Weighing, tag: int, scopes: Sequence[Scope]) -> None:
    """Whether a candidate runs on the machine of a dump, and what of it is not in the dump."""
    name = PureWindowsPath(one.looked.name.replace("/", "\\")).name.lower()
    if one.looked.loaded is not None:
        one.because.append(f"it is loaded: {one.looked.loaded}")
    for scope in scopes:
        unloaded = dict(scope.unloaded)
        if one.looked.loaded is None and name not in scope.loaded:
            times = next((count for other, count in unloaded.items() if other.lower() == name), 0)
            if times:
                one.because.append(
                    f"it was unloaded {times_text(times)} in {scope.dump}: it may have left memory behind"
                )
            elif scope.whole:
                one.absent = True
                one.against.append(f"it is not loaded in {scope.dump}")
        others = [other for other in unloaded if other.lower() not in scope.loaded and other.lower() != name]
        one.rivals |= any(alike(tag, PureWindowsPath(other.lower()).stem) for other in others)
    if one.looked.unread_code or one.looked.unread_pageable:
        missing = one.looked.unread_code + one.looked.unread_pageable
        one.against.append(f"{kilobytes(missing)} of its code are not in the dump: there may be more than was seen")


def _lowered(confidence: Confidence, one: _Weighing, doubtful: bool) -> Confidence:
    """What was not seen, a driver that is not loaded, and a rival that is gone each cost certainty."""
    if confidence is Confidence.HIGH and ((doubtful and not one.named) or one.absent or one.rivals):
        return Confidence.MEDIUM
    return confidence


def _weigh(tag: int, text: str, looked: Looked, summary: DriverSummary, lines: Sequence[Line]) -> _Weighing:
    one = _Weighing(looked, summary)
    at_calls = [use for use in summary.uses if use.tag == tag]
    _weigh_calls(one, text, at_calls)
    _weigh_turned(one, tag, summary)
    _weigh_bytes(one, tag, text)
    _weigh_imports(one, text)
    one.places = [*at_calls, *looked.places]
    stem = PureWindowsPath(looked.name.replace("/", "\\")).stem.lower()
    original = summary.version.original_name if summary.version is not None else None
    stems = {stem, PureWindowsPath(original).stem.lower()} if original else {stem}
    for line in lines:
        if line.binary and stems & _stems(line.binary):
            one.named = True
            one.add(NAMED, f"{line.source} names {line.binary} for it: {line.description or 'no description'}")
    note = tag_notes.find(text)
    if note is not None and note.binary and stems & _stems(note.binary) and not one.named:
        one.named = True
        one.add(NAMED, f"it is known as a tag of {note.binary} ({note.component})")
    like = alike(tag, stem)
    if like is not None:
        one.alike = True
        one.add(ALIKE, f"its name begins like the tag ({like})")
    if one.in_text and not at_calls:
        one.against.append(f"in its data the letters stand only inside longer texts ({_spots(one.in_text)})")
    if summary.packed and not at_calls:
        one.against.append(
            "its code looks compressed or encrypted: what it does at run time cannot be seen in the file"
        )
    elif one.named and not at_calls and not one.imports:
        one.against.append("no call with the tag was found in its code")
    return one


def _weigh_calls(one: _Weighing, text: str, uses: Sequence[TagUse]) -> None:
    allocating = [use for use in uses if use.use in _ALLOCATES]
    sure = [use for use in allocating if use.certain]
    guessed = [use for use in allocating if not use.certain]
    freeing = [use for use in uses if use.use is Use.FREE]
    references = [use for use in uses if use.use is Use.REFERENCE]
    if sure:
        one.allocates = True
        one.add(AT_ALLOCATION, f"{text} is the tag at {_calls(sure)}")
    elif guessed:
        one.guesses = True
        why = "the first value of a variable, or a push that only looks like the argument"
        one.add(AT_ALLOCATION_GUESS, f"{text} seems to be the tag at {_calls(guessed)} ({why})")
    if freeing:
        one.frees = True
        one.add(AT_FREE, f"it frees memory with this tag, at {_calls(freeing)}")
    if references:
        weight = AT_REFERENCE if not allocating and not freeing else -1
        one.add(
            weight, f"it marks object references with the same letters, at {_calls(references)}: that is no pool tag"
        )


def _weigh_turned(one: _Weighing, tag: int, summary: DriverSummary) -> None:
    form = turned(tag)
    uses = [use for use in summary.uses if use.tag == form and use.use in (*_ALLOCATES, Use.FREE)]
    if uses and form != tag:
        said = (
            f"it uses the letters the other way round ({tag_text(form)}, as poolmon then shows them), at {_calls(uses)}"
        )
        one.add(TURNED_AT_CALL, said)
        one.against.append(f"memory of that tag is counted under {tag_text(form)}")


def _weigh_bytes(one: _Weighing, tag: int, text: str) -> None:
    places = [place for place in one.looked.places if place.tag == tag]
    operands = [place for place in places if place.use is Use.IMMEDIATE]
    compared = [place for place in operands if place.text.startswith(("cmp", "sub ", "xor"))]
    others = [place for place in operands if place not in compared]
    if others:
        hint = ""
        if FRAMEWORK & set(one.summary.imports):
            hint = (
                "; it is a driver of the framework (KMDF), whose calls with a tag go through a table that is not read"
            )
        one.add(AS_OPERAND, f"{text} is a constant in its code, at no call that is known ({_spots(others)}){hint}")
    if compared:
        one.add(AS_COMPARED, f"its code compares something with {text} ({_spots(compared)}): perhaps a signature")
    data = [place for place in places if place.use is Use.DATA]
    aligned = [place for place in data if place.rva % 4 == 0 and not within_text(place)]
    if aligned:
        one.add(AS_DATA, f"the four bytes stand in its data ({_spots(aligned)}), as in a table or a variable")
    elif data:
        one.in_text = data


def _weigh_imports(one: _Weighing, text: str) -> None:
    functions = functions_for(text)
    found = sorted(functions & set(one.summary.imports))
    if not found:
        return
    one.imports = True
    calls = {name: one.summary.calls.get(name, 0) for name in found}
    if any(calls.values()):
        counted = ", ".join(f"{name} ({count} {'call' if count == 1 else 'calls'})" for name, count in calls.items())
        one.add(IMPORTS_CALLED, f"it imports {counted}")
    else:
        one.add(IMPORTS_ONLY, f"it imports {', '.join(found)}")
        one.against.append("no call of it was found in its code")
    if set(found) <= DMA:
        one.against.append("that function leads to such memory only when a DMA buffer is made")


def _confidence(
    one: _Weighing, certain: Sequence[_Weighing], importers: Sequence[_Weighing], shared: bool
) -> Confidence:
    if one.imports:
        return Confidence.MEDIUM if len(importers) == 1 else Confidence.LOW
    alone = len(certain) == 1 or not any(other is not one and (other.named or other.alike) for other in certain)
    singled = len(certain) == 1 or ((one.named or one.alike) and alone)
    if one.allocates:
        if shared:
            return Confidence.MEDIUM if len(certain) == 1 else Confidence.LOW
        return Confidence.HIGH if singled else Confidence.MEDIUM
    if certain:
        return Confidence.LOW
    if one.frees or one.guesses or (one.named and one.score > NAMED + ALIKE):
        return Confidence.MEDIUM
    return Confidence.LOW


def _others(one: _Weighing, certain: Sequence[_Weighing]) -> list[str]:
    others = [other for other in certain if other is not one]
    if not others:
        return []
    too = " too" if one.allocates else ""
    if len(others) == 1:
        return [f"another of those given allocates with this tag{too}"]
    return [f"{len(others)} others of those given allocate with this tag{too}"]


def _shared(text: str) -> bool:
    note = tag_notes.find(text)
    return note is not None and note.role is tag_notes.Role.GENERIC


def _remarks(text: str, lines: Sequence[Line], traces: int) -> tuple[str, ...]:
    said: list[str] = []
    note = tag_notes.find(text)
    if text in WITHOUT_TAG:
        said.append(
            f"{text} stands for {WITHOUT_TAG[text][1]}: whoever imports the functions that take it may be the owner"
        )
    elif _shared(text):
        said.append(f"{text} is shared by drivers that set no tag of their own: it names no driver by itself")
    if note is not None:
        said.append(f"what is known of it: {note.holds} ({note.component})")
    said += [f"{line.source}: {line.binary or 'no binary'}, {line.description}" for line in lines]
    if traces:
        files = "one more file" if traces == 1 else f"{traces} more files"
        said.append(
            f"in {files} the letters stand where no tag is: inside longer texts, in a comparison, or by chance in code"
        )
    return tuple(said)


def _calls(uses: Sequence[TagUse]) -> str:
    """``3 calls of ExAllocatePoolWithTag (0x1010, 0x1200 through its own function at 0x1000)``."""
    names = sorted({use.function for use in uses if use.function is not None})
    spots = [
        f"0x{use.rva:x}" + (f" through its own function at 0x{use.wrapper:x}" if use.wrapper is not None else "")
        for use in uses
    ]
    return f"{len(uses)} {'call' if len(uses) == 1 else 'calls'} of {', '.join(names)} ({_list(spots)})"


def _spots(uses: Sequence[TagUse]) -> str:
    return _list([f"0x{use.rva:x}" for use in uses])


def _list(spots: Sequence[str]) -> str:
    more = len(spots) - _SHOWN
    return ", ".join(spots[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

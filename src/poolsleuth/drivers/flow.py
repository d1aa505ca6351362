"""Where a value at a call comes from: a walk backwards through the instructions of one function.

The walk follows copies between registers and the stack, every way that leads to the call, and stops at constants, at
the function's own parameters, and where it does not know. It believes that no store through another pointer changes
the function's own stack.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

MAX_STEPS = 2000  # of one walk: a window of 16 KB has some 4,000 instructions, and a value passes few of them
MAX_CHANGES = 8  # of one value on its way: compilers need four for a choice without a jump
MAX_VALUES = 32  # different constants that one call can get; code has one or two

ALL_BITS = 0xFFFF_FFFF


class Instruction(NamedTuple):
    """One instruction as the disassembler writes it: place, bytes it takes, name, operands."""

    at: int
    size: int
    name: str
    operands: str

    @property
    def text(self) -> str:
        """One line of disassembly."""
        return f"{self.name} {self.operands}".rstrip()


class Place(NamedTuple):
    """A register (``memory`` False) or the memory at ``base`` + ``distance``. Registers have their widest name.

    The base ``image`` stands for memory of the image itself, at the distance from its base.
    """

    memory: bool
    base: str
    distance: int = 0


Change = tuple[str, int]
"""A thing done to a value: ``add``, ``and``, ``or``, ``xor`` or ``shl``, and the constant."""


class Wanted(NamedTuple):
    """What is looked for: the value in ``place``, changed by ``changes`` on its way, the last one first."""

    place: Place
    changes: tuple[Change, ...] = ()

    def whole(self, value: int) -> int:
        """The value as it arrives, in 32 bits."""
        for name, constant in reversed(self.changes):
            if name == "add":
                value += constant
            elif name == "and":
                value &= constant
            elif name == "or":
                value |= constant
            elif name == "xor":
                value ^= constant
            else:
                value <<= constant & 31
            value &= ALL_BITS
        return value & ALL_BITS

    def moved(self, place: Place) -> "Wanted":
        """The same, looked for in another place."""
        return self._replace(place=place)

    def changed(self, *changes: Change) -> "Wanted | None":
        """The same before some changes, the later of them first; None when there are too many."""
        both = self.changes + changes
        return None if len(both) > MAX_CHANGES else self._replace(changes=both)


Step = Wanted | int | None
"""One step back: another place, a constant, or not known."""


class Semantics(Protocol):
    """What instructions do, of one processor."""

    def back(self, instruction: Instruction, wanted: Wanted) -> Iterable[Step]:
        """What was wanted before the instruction, so that ``wanted`` holds after it."""

    def goes_on(self, instruction: Instruction) -> bool:
        """Whether the next instruction can follow it."""

    def branches(self, name: str) -> bool:
        """Whether instructions of that name may jump to a place that they name."""

    def jumps_to(self, instruction: Instruction) -> int | None:
        """Where it may jump to."""

    def parameter(self, place: Place) -> Place | None:
        """Where, at the call of a function, lies what is in ``place`` at its first instruction; None: no parameter."""

    def image_value(self, distance: int) -> tuple[int, bool] | None:
        """The four bytes of the image there, and whether they are constant; None when there are none."""


@dataclass(slots=True)
class Answer:
    """Where a value comes from. ``values`` are constants, each with the place of the instruction (or of the memory)
    that holds it; ``guesses`` are what variables hold before the driver runs, with their places; ``places`` are the
    places in the image out of which a value was loaded.

    ``unknown``: some way leads to a value that is not known; ``cut``: the walk left the window. ``lost``: a call was
    met of which nobody knows what it takes off the stack. ``steps`` is how far it went in all.
    """

    values: dict[int, int] = field(default_factory=dict)
    guesses: dict[int, int] = field(default_factory=dict)
    parameters: set[Place] = field(default_factory=set)
    places: set[int] = field(default_factory=set)
    unknown: bool = False
    cut: bool = False
    lost: bool = False
    steps: int = 0


class Flow:
    """A window of instructions, of which the first is a function's first when ``from_entry``."""

    def __init__(self, instructions: list[Instruction], semantics: Semantics, *, from_entry: bool) -> None:
        self.instructions = instructions
        self._semantics = semantics
        self._from_entry = from_entry
        self._jumps: dict[int, list[int]] = {}
        branches = [n for n, instruction in enumerate(instructions) if semantics.branches(instruction.name)]
        if branches:
            index = {instruction.at: n for n, instruction in enumerate(instructions)}
            for n in branches:
                target = semantics.jumps_to(instructions[n])
                if target is not None and target in index:
                    self._jumps.setdefault(index[target], []).append(n)

    def ask(self, index: int, wanted: Wanted) -> Answer:
        """Where what is wanted just before instruction ``index`` comes from."""
        answer = Answer()
        todo = [(index, wanted)]
        seen = set(todo)
        while todo:
            at, now = todo.pop()
            if len(seen) > MAX_STEPS or len(answer.values) > MAX_VALUES:
                answer.unknown = True
                break
            if now.place.base == "image":
                self._from_image(answer, now)
                continue
            for before in self._before(at, now, answer):
                for step in self._semantics.back(self.instructions[before], now):
                    if step is None:
                        answer.unknown = True
                    elif isinstance(step, int):
                        answer.values.setdefault(now.whole(step), self.instructions[before].at)
                    elif (before, step) not in seen:
                        seen.add((before, step))
                        todo.append((before, step))
        answer.steps = len(seen)
        return answer

    def _before(self, at: int, now: Wanted, answer: Answer) -> list[int]:
        before = list(self._jumps.get(at, ()))
        if at == 0:
            place = self._semantics.parameter(now.place)
            if not self._from_entry:
                answer.cut = True
            elif place is None or now.changes:
                answer.unknown = True
            else:
                answer.parameters.add(place)
        elif self._semantics.goes_on(self.instructions[at - 1]):
            before.append(at - 1)
        if at and not before:
            answer.unknown = True
        return before

    def _from_image(self, answer: Answer, now: Wanted) -> None:
        answer.places.add(now.place.distance)
        found = self._semantics.image_value(now.place.distance)
        if found is None:
            answer.unknown = True
        elif found[1]:
            answer.values.setdefault(now.whole(found[0]), now.place.distance)
        else:
            answer.guesses.setdefault(now.whole(found[0]), now.place.distance)

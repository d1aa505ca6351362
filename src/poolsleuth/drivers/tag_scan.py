"""Which tags a driver uses, and where: the constants at its calls of functions that take a pool tag.

The core sees sections as bytes and a map from slots of the import address table to names of functions. So it does not
matter whether the image was read from a file or from memory.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from poolsleuth.drivers.arm64 import Arm64
from poolsleuth.drivers.call_sites import MAX_SITES, Site, import_sites
from poolsleuth.drivers.code import WIDE_WINDOW, WIDER_WINDOW, WINDOW, Code, calls_to
from poolsleuth.drivers.flow import Answer, Flow, Instruction, Place, Wanted
from poolsleuth.drivers.image_bytes import ImageBytes
from poolsleuth.drivers.imports import read_imports, read_named_exports, slots_by_address
from poolsleuth.drivers.tag_functions import CONTIGUOUS, DMA, TAG_FUNCTIONS, UNTAGGED, X86_POPS, Use, bare_name
from poolsleuth.drivers.tags import is_tag, plain_key
from poolsleuth.drivers.x86 import X86, number

MAX_LEVELS = 3  # a wrapper around a thunk around an import; further ones are not followed
MAX_RETURN = 4096  # bytes of a called function that are searched for its return (x86)
NEAR_PUSHES = 24  # instructions before a call of x86 among which a push that looks like a tag is taken for one
MAX_WIDER, MAX_WIDE = 4000, 500  # wider windows of one image: each takes one millisecond, or a few
MAX_WORK = 400_000  # steps of all walks through one image: those with a thousand tags need some 30,000
MAX_KEPT = 2000  # calls through registers of one image that are looked at one by one


@dataclass(frozen=True, slots=True)
class TagUse:
    """A tag at a place. ``tag`` is the number whose four bytes in memory are the tag, without the protected bit.

    ``function`` is the imported function that gets it, None where there is no call; ``wrapper`` is the place of the
    driver's own function in between, None when it is called directly. ``rva`` is that of the call (or of the bytes),
    from the image's base on, ``offset`` its place in the file. ``certain`` is False for the first value of a
    variable and for a push that only looks like the argument. ``text`` is the
    disassembly of the call or operand, ``source`` the place of the instruction or variable that holds the tag.
    """

    tag: int
    use: Use
    function: str | None
    rva: int
    offset: int | None
    raw: bytes
    text: str
    certain: bool = True
    wrapper: int | None = None
    source: int | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """What the calls of one image say. ``calls`` counts the calls of each function that matters, tagged or not.

    ``unread`` are calls whose tag is no constant that could be found.
    """

    uses: tuple[TagUse, ...]
    calls: Mapping[str, int]
    unread: int


@dataclass(frozen=True, slots=True)
class _Target:
    """A function of which one argument is a tag: imported, or one of the driver's own that passes its own on."""

    function: str
    use: Use
    place: Place
    only_code: int | None = None
    own: int | None = None


@dataclass(slots=True)
class _State:
    uses: dict[tuple[int, int], TagUse] = field(default_factory=dict)
    unread: int = 0
    wide: int = 0
    work: int = 0


def scan_image(
    image: ImageBytes,
    slots: Mapping[int, str],
    targets: Mapping[int, str] | None = None,
    near: Collection[int] | None = None,
    code: Code | None = None,
) -> Scan:
    """The tags at the calls of an image.

    ``slots`` are places of the import address table, from the image's base on, and the names in them. ``targets`` are
    virtual addresses of functions that are called directly: the image's own exports, and in memory those of others.
    ``near``: only calls of functions that hold one of these places are looked at (None: all calls). ``code`` is that of
    the image, where the caller has it.
    """
    return _Scanner(image, slots, targets or {}, near, code).scan()


def scan_file_image(image: ImageBytes, near: Collection[int] | None = None, code: Code | None = None) -> Scan:
    """The same, with the slots that its own import tables name, and the functions that it exports itself."""
    own = {image.base + rva: name for rva, name in read_named_exports(image, _INTERESTING).items()}
    return scan_image(image, {found.slot: found.name for found in read_imports(image)}, own, near, code)


def scan_loaded_image(
    image: ImageBytes, functions: Mapping[int, str], near: Collection[int] | None = None, code: Code | None = None
) -> Scan:
    """The tags at the calls of an image that lay in memory; ``near`` and ``code`` as for ``scan_image``.

    ``functions`` are the virtual addresses of what Windows exports, and the names: slots are known by what is in them,
    so no import table is needed. Where one is still there, its names are used as well.
    """
    wanted = {address: text for address, text in functions.items() if bare_name(text) in _INTERESTING}
    own = {image.base + rva: text for rva, text in read_named_exports(image, _INTERESTING).items()}
    return scan_image(image, loaded_slots(image, wanted), wanted | own, near, code)


def loaded_slots(image: ImageBytes, functions: Mapping[int, str]) -> dict[int, str]:
    """The slots of an image in memory: by its import tables, where they are still there, and by what is in them."""
    return {found.slot: found.name for found in read_imports(image)} | slots_by_address(image, functions)


_INTERESTING = frozenset(TAG_FUNCTIONS) | UNTAGGED | CONTIGUOUS | DMA


def _distance(image: ImageBytes, address: int) -> int:
    """From the base on, as a call counts it: 32-bit addresses wrap round, and may bear a sign."""
    distance = address - image.base
    return distance if image.bits == 64 else ((distance + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


class _Scanner:
    def __init__(
        self,
        image: ImageBytes,
        slots: Mapping[int, str],
        targets: Mapping[int, str],
        near: Collection[int] | None,
        code: Code | None,
    ) -> None:
        self._image = image
        self._near = None if near is None else sorted(near)
        self._slots = {slot: bare_name(name) for slot, name in slots.items()}
        self._targets = {_distance(image, address): bare_name(name) for address, name in targets.items()}
        self._code = Code(image) if code is None else code
        self._semantics: X86 | Arm64 = Arm64(image) if image.machine == "arm64" else X86(image, self._pops)
        self._returns: dict[int, int | None] = {}
        self._registers: dict[int, str] = {}  # ends of calls through a register, and what it holds
        self._lost = False  # a call was met of which nobody knows what it takes off the stack
        self._state = _State()

    def scan(self) -> Scan:
        wanted = {slot: name for slot, name in self._slots.items() if name in _INTERESTING}
        counted: dict[str, set[int]] = {}
        todo: list[tuple[Site, _Target]] = []
        loads: set[int] = set()
        for site in islice(import_sites(self._code, wanted, loads), MAX_SITES):
            self._registers[site.end] = site.function
            counted.setdefault(site.function, set()).add(site.end)
        for site in self._kept_calls(loads, wanted):
            self._registers[site.end] = site.function
            counted.setdefault(site.function, set()).add(site.end)
        own: dict[int, list[_Target]] = {}
        direct = {address: name for address, name in self._targets.items() if name in _INTERESTING}
        for end, target in islice(calls_to(self._code, direct), MAX_SITES):
            counted.setdefault(direct[target], set()).add(end)
        for name, ends in counted.items():
            target_of = self._imported(name)
            tails = {end for end in ends if self._is_jump(end)}
            if target_of is not None:
                near = sorted(end for end in ends if self._is_near(end))
                todo += [(Site(end, name, tail=end in tails), target_of) for end in near]
        todo.sort(key=lambda item: item[0].end)  # calls of one function follow one another
        done: set[tuple[int, int]] = set()
        for _ in range(MAX_LEVELS):
            fresh: dict[int, list[_Target]] = {}
            for site, target_of in todo:
                if target_of is not None:
                    self._resolve(site, target_of, fresh)
            fresh = {rva: found for rva, found in fresh.items() if rva not in own}
            if not fresh:
                break
            own |= fresh
            todo = []
            for end, called in islice(calls_to(self._code, fresh), MAX_SITES):
                if (end, called) not in done:
                    done.add((end, called))
                    jump = self._is_jump(end)
                    todo += [(Site(end, t.function, tail=jump), t) for t in fresh[called]]
        uses = sorted(self._state.uses.values(), key=lambda use: (use.rva, use.tag))
        return Scan(tuple(uses), {name: len(ends) for name, ends in sorted(counted.items())}, self._state.unread)

    def _is_near(self, end: int) -> bool:
        """Whether one of the places that matter lies in the function of a call, before the end of the call."""
        if self._near is None:
            return True
        begin = max(self._code.function_at(end - 1)[0], end - WIDE_WINDOW)
        index = bisect_left(self._near, begin)
        return index < len(self._near) and self._near[index] < end

    def _kept_calls(self, loads: set[int], slots: Mapping[int, str]) -> Iterator[Site]:
        """Calls through a register that holds a slot's address on every way, as after it was kept on the stack."""
        asked = 0
        for begin in sorted({self._code.function_at(load)[0] for load in loads})[:MAX_WIDE]:
            end = min(self._code.function_end(begin), begin + WIDE_WINDOW)
            if not self._is_near(end):
                continue
            body = list(self._code.disassemble(begin, end))
            flow = Flow(body, self._semantics, from_entry=True)
            for index, call in enumerate(body):
                after = call.at + call.size
                if call.name not in ("call", "jmp", "blr", "br") or after in self._registers:
                    continue
                asked += 1
                if asked > MAX_KEPT:
                    return
                place = self._semantics.register_place(call.operands)
                answer = None if place is None else flow.ask(index, Wanted(place))
                if answer is not None and len(answer.places) == 1 and not answer.parameters and not answer.cut:
                    name = slots.get(answer.places.pop())
                    if name is not None:
                        yield Site(after, name, tail=call.name in ("jmp", "br"))

    def _imported(self, name: str) -> _Target | None:
        function = TAG_FUNCTIONS.get(name)
        if function is None:
            return None
        narrow = self._image.machine == "x86"
        if narrow and function.registers:
            place = Place(False, ("rcx", "rdx")[function.argument])
        else:
            place = self._semantics.argument(function.x86_argument if narrow else function.argument)
        return _Target(name, function.use, place, function.only_code)

    def _is_jump(self, end: int) -> bool:
        """Whether the instruction that ends there is a jump and no call."""
        section = self._image.section_at(end - 1)
        if section is None:
            return False
        at = end - section.rva
        if self._image.machine == "arm64":
            word = int.from_bytes(section.data[at - 4 : at], "little")
            return word & 0xFC000000 == 0x14000000 or word & 0xFFFFFC1F == 0xD61F0000
        if section.data[at - 5 : at - 4] == b"\xe9":
            return section.data[at - 6 : at - 4] != b"\xff\x15"
        return section.data[at - 6 : at - 4] == b"\xff\x25" or (
            section.data[at - 2 : at - 1] == b"\xff" and section.data[at - 1] & 0xF8 == 0xE0
        )

    # ---- one call ----

    def _resolve(self, site: Site, target: _Target, fresh: dict[int, list[_Target]]) -> None:
        if self._state.work > MAX_WORK:
            self._state.unread += 1
            return
        answer, window = self._ask(site, target.place)
        if not window or not self._is_call(window[-1]):
            return
        by_number = True
        if target.only_code is not None:
            code = self._ask(site, self._semantics.argument(0))[0]
            if code.values and target.only_code not in code.values:
                return
            by_number = bool(code.values)
        call = window[-1]
        found = [(value, at, by_number) for value, at in answer.values.items() if is_tag(value)]
        found += [(value, at, False) for value, at in answer.guesses.items() if is_tag(value)]
        if not found and not answer.parameters and answer.lost:
            found = self._near_push(window)
        for value, at, certain in found:
            self._add(value, at, call, target, certain=certain)
        if answer.parameters:
            begin, _ = self._code.function_at(site.end - 1)
            for place in answer.parameters:
                fresh.setdefault(begin, []).append(replace(target, place=place, own=begin))
        elif not found:
            self._state.unread += 1

    def _at_site(self, place: Place, site: Site) -> Place:
        return self._semantics.tail(place) if site.tail else place

    def _ask(self, site: Site, place: Place) -> tuple[Answer, list[Instruction]]:
        """Where what is in a place at a call comes from, and the instructions up to the call, if it is one."""
        wanted = Wanted(self._at_site(place, site))
        answer, window = Answer(), list[Instruction]()
        for span, most in ((WINDOW, MAX_SITES), (WIDER_WINDOW, MAX_WIDER), (WIDE_WINDOW, MAX_WIDE)):
            if window and (not answer.cut or self._state.wide >= most):
                break
            self._state.wide += bool(window)
            longer, entry = self._code.window(site.end, span)
            if not longer:
                break
            window = longer
            self._lost = False
            answer = Flow(window, self._semantics, from_entry=entry).ask(len(window) - 1, wanted)
            answer.lost = self._lost
            self._state.work += answer.steps
        return answer, window

    def _is_call(self, instruction: Instruction) -> bool:
        return instruction.name in ("call", "jmp", "bl", "blr", "b", "br") or (
            instruction.name[0] == "j" and self._image.machine != "arm64"
        )

    def _add(self, value: int, source: int, call: Instruction, target: _Target, *, certain: bool) -> None:
        tag = plain_key(value)
        known = self._state.uses.get((call.at, tag))
        if known is not None and known.certain:
            return
        raw = self._image.read(call.at, call.size) or b""
        self._state.uses[call.at, tag] = TagUse(
            tag,
            target.use,
            target.function,
            call.at,
            self._image.offset_of(call.at),
            raw,
            call.text,
            certain,
            target.own,
            source,
        )

    def _near_push(self, window: list[Instruction]) -> list[tuple[int, int, bool]]:
        """The nearest push of what looks like a tag: where a call in between takes nobody knows what off the stack."""
        for instruction in reversed(window[-1 - NEAR_PUSHES : -1]):
            if instruction.name == "push":
                value = number(instruction.operands)
                if value is not None and value > 0xFFFF and is_tag(value):
                    return [(value, instruction.at, False)]
            if instruction.name == "call" and self._registers.get(instruction.at + instruction.size) in TAG_FUNCTIONS:
                break
        return []

    # ---- what a called function takes off the stack of x86 ----

    def _pops(self, call: Instruction) -> int | None:
        taken = self._known_pops(call)
        self._lost = self._lost or taken is None
        return taken

    def _known_pops(self, call: Instruction) -> int | None:
        name = self._registers.get(call.at + call.size)
        if name is None:
            place = self._memory_of(call)
            name = None if place is None else self._slots.get(place)
        if name is not None:
            slots = X86_POPS.get(name)
            return None if slots is None else 4 * slots
        target = number(call.operands)
        if target is None:
            return None
        if target not in self._returns:
            self._returns[target] = self._returned(target)
        return self._returns[target]

    def _memory_of(self, call: Instruction) -> int | None:
        semantics = self._semantics
        place = semantics.memory(call.operands, call) if isinstance(semantics, X86) else None
        return place.distance if place is not None and place.base == "image" else None

    def _returned(self, begin: int) -> int | None:
        for instruction in self._code.stream(begin, begin + MAX_RETURN):
            if instruction.name == "ret":
                return number(instruction.operands) if instruction.operands else 0
            if instruction.name == "jmp":
                place = self._memory_of(instruction)
                slots = None if place is None else X86_POPS.get(self._slots.get(place, ""))
                if slots is not None:
                    return 4 * slots
                if instruction.at == begin:
                    return None
        return None

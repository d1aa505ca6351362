"""The page tables of all processes of the simulated machine: which tables there are, and which are common.

What a table entry stands for is remembered beside the tables, never decoded from them: that is the reader's task, and
the two must not share a mistake.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from poolsleuth.lab.page_table_entries import PAGED_POOL_XP, EntryLayout, Mode, State
from poolsleuth.lab.physical import PAGE, PhysicalImage

# From the root down: the lowest bit of the index, and its bits
_LEVELS: dict[Mode, tuple[tuple[int, int], ...]] = {
    "x86": ((22, 10), (12, 10)),
    "pae": ((30, 2), (21, 9), (12, 9)),
    "x64": ((39, 9), (30, 9), (21, 9), (12, 9)),
    "la57": ((48, 9), (39, 9), (30, 9), (21, 9), (12, 9)),
    "arm64": ((39, 9), (30, 9), (21, 9), (12, 9)),
}
# The level whose entries for the kernel's half are copied into every process; the tables below it are common to all
_SHARED_LEVEL: dict[Mode, int] = {"x86": 0, "pae": 1, "x64": 0, "la57": 1, "arm64": 0}
_SELF_MAP_32, _SELF_MAP_64 = 0xC0000000, 0x1ED
FOUR_GB = 1 << 20  # in pages
_SESSION_SPACE: dict[Mode, tuple[int, int]] = {
    "x86": (0xBC000000, 0xC0000000),
    "pae": (0xBC000000, 0xC0000000),
    "x64": (0xFFFFF900_00000000, 0xFFFFF980_00000000),
    "la57": (0xFFFFF900_00000000, 0xFFFFF980_00000000),
    "arm64": (0xFFFFF900_00000000, 0xFFFFF980_00000000),
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A mapped page: ``page`` is None where no memory holds it."""

    state: State
    page: int | None


@dataclass(slots=True)
class Family:
    """What the address spaces of one machine share. The keys are physical addresses of entries."""

    tables: dict[int, int] = field(default_factory=dict)
    leaves: dict[int, Leaf] = field(default_factory=dict)
    large: dict[int, int] = field(default_factory=dict)
    # Prototype entries: what their pages are
    prototypes: dict[int, Leaf] = field(default_factory=dict)
    spaces: list["PageTableTree"] = field(default_factory=list)
    pointer_tables: int | None = None  # the page that the next four pointers of a PAE process go to
    pointer_tables_used: int = 0


class PageTableTree:
    """The tables of one process. Entries of the kernel's half are written into those of all processes that share it."""

    def __init__(
        self,
        physical: PhysicalImage,
        mode: Mode,
        build: int,
        *,
        self_map: int = _SELF_MAP_64,
        session: tuple[int, int] | None = None,
        kernel_start: int = 0x80000000,
        invalid_pte_mask: int = 0,
        paged_pool_base: int = PAGED_POOL_XP,
        swizzle_bit: bool | None = None,
        _relative: "PageTableTree | None" = None,
        _session_of: "PageTableTree | None" = None,
    ) -> None:
        self.physical = physical
        self.mode: Mode = mode
        self.build = build
        self.layout = EntryLayout(mode, build, invalid_pte_mask, paged_pool_base, swizzle_bit)
        self.self_map = self_map
        self.session = session or _SESSION_SPACE[mode]
        self.kernel_start = kernel_start
        self._levels = _LEVELS[mode]
        self._shared_level = _SHARED_LEVEL[mode]
        each = 1 << self._levels[self._shared_level][0]
        if self.session[0] % each or self.session[1] % each:
            raise ValueError(
                f"session space begins and ends at multiples of {each:#x}: a process has such parts its own"
            )
        self._family: Family = _relative._family if _relative else Family()
        self._session_id: int = _session_of._session_id if _session_of else len(self._family.spaces)
        self.dtb = self._new_root()
        """The physical address of the root: what CR3 (without flags) and DirectoryTableBase hold."""
        for peer in (_relative, _session_of):
            if peer is not None:
                self._copy_kernel_half(peer)
        self._family.spaces.append(self)

    @property
    def pointer_size(self) -> int:
        """Bytes of a pointer."""
        return 4 if self.mode in ("x86", "pae") else 8

    @property
    def large_page(self) -> int:
        """Small pages in a large page: 1024 on x86 without PAE, else 512."""
        return 1 << (self._levels[-2][0] - 12)

    def table_pages(self) -> list[int]:
        """The physical pages of the page tables of all processes of the machine, sorted."""
        roots = {space.dtb // PAGE for space in self._family.spaces}
        return sorted(roots | set(self._family.tables.values()))

    def _check(self, virtual: int, size: int) -> None:
        last = virtual + max(size, 1) - 1
        if self.pointer_size == 4:
            good = virtual >= 0 and last < 1 << 32
            window = 0x400000 if self.mode == "x86" else 0x800000
            shown = virtual < _SELF_MAP_32 + window and last >= _SELF_MAP_32
        else:
            top = self._levels[0][0] + 8  # the bit that all higher ones repeat
            good = virtual >> top == last >> top and virtual >> top in (0, (1 << 64 - top) - 1)
            shown = self.self_map in (self._index(virtual, 0), self._index(last, 0))
        if not good:
            raise ValueError(f"no {self.mode} machine has {size} bytes at {virtual:#x}")
        if shown:
            raise ValueError(f"the page tables show themselves at {virtual:#x}: nothing can be mapped there")

    def _is_user(self, virtual: int) -> bool:
        return virtual < self.kernel_start if self.pointer_size == 4 else not virtual >> 63

    def _index(self, virtual: int, level: int) -> int:
        low, bits = self._levels[level]
        return virtual >> low & (1 << bits) - 1

    def _new_table(self) -> int:
        number = self.physical.take(below=FOUR_GB if self.mode == "x86" else 1 << 40)
        self.physical.page(number)  # its zeros mean something
        return number

    def _new_root(self) -> int:
        size = self.layout.size
        if self.mode == "pae":
            family = self._family
            if family.pointer_tables is None or family.pointer_tables_used == PAGE:
                family.pointer_tables, family.pointer_tables_used = self.physical.take(below=FOUR_GB), 0
            root = family.pointer_tables * PAGE + family.pointer_tables_used
            family.pointer_tables_used += 32
            directories = [self._new_table() for _ in range(4)]
            for i, page in enumerate(directories):
                self._family.tables[root + i * size] = page
                self._write_entry(root + i * size, self.layout.pointer_table(page))
                self._write_entry(directories[3] * PAGE + i * size, self.layout.table(page, user=False))
            return root
        page = self._new_table()
        slot = _SELF_MAP_32 >> 22 if self.mode == "x86" else self.self_map
        self._write_entry(page * PAGE + slot * size, self.layout.table(page, user=False))
        return page * PAGE

    def _write_entry(self, at: int, value: int) -> None:
        self.physical.write(at, value.to_bytes(self.layout.size, "little"))

    def _find(self, virtual: int) -> tuple[int, int] | None:
        """The level and the physical address of the entry that maps an address."""
        table, last = self.dtb, len(self._levels) - 1
        for level in range(last + 1):
            at = table + self._index(virtual, level) * self.layout.size
            if at in self._family.leaves or at in self._family.large:
                return level, at
            below = self._family.tables.get(at)
            if below is None:
                return None
            table = below * PAGE
        return None

    def _slot(self, virtual: int, level: int) -> int:
        """The physical address of the entry for ``virtual`` at a level; the tables above it are made where missing."""
        table = self.dtb
        for above in range(level):
            at = table + self._index(virtual, above) * self.layout.size
            if at in self._family.large:
                raise ValueError(f"a large page lies at {virtual:#x}: unmap it first")
            below = self._family.tables.get(at)
            if below is None:
                below = self._new_table()
                self._family.tables[at] = below
                self._put_entry(virtual, above, at, self.layout.table(below, user=self._is_user(virtual)))
            table = below * PAGE
        return table + self._index(virtual, level) * self.layout.size

    def _put_entry(self, virtual: int, level: int, at: int, value: int) -> None:
        """Write an entry, and write it into the other processes too where they hold a copy of it."""
        self._write_entry(at, value)
        if level == self._shared_level and not self._is_user(virtual):
            for peer in self._family.spaces:
                if peer is not self and (not self._in_session(virtual) or peer._session_id == self._session_id):
                    peer._copy_entry(virtual, at)

    def _in_session(self, virtual: int) -> bool:
        return self.session[0] <= virtual < self.session[1]

    def _copy_entry(self, virtual: int, source: int) -> None:
        """Make the entry for ``virtual`` at the shared level what it is at ``source``, in another process' table."""
        at = self._slot(virtual, self._shared_level)
        self._forget(at)
        family = self._family
        if source in family.tables:
            family.tables[at] = family.tables[source]
        if source in family.large:
            family.large[at] = family.large[source]
        self._write_entry(at, int.from_bytes(self.physical.read(source, self.layout.size), "little"))

    def _copy_kernel_half(self, peer: "PageTableTree") -> None:
        same = peer._session_id == self._session_id
        for virtual, source in list(peer._shared_entries()):
            if not self._is_user(virtual) and (same or not self._in_session(virtual)):
                self._copy_entry(virtual, source)

    def _shared_entries(self) -> Iterator[tuple[int, int]]:
        """The first address and the place of every entry at the shared level."""
        tables = [(0, self.dtb)]
        for level in range(self._shared_level + 1):
            low, bits = self._levels[level]
            size, slots = self.layout.size, range(1 << bits)
            entries = [(virtual | i << low, table + i * size) for virtual, table in tables for i in slots]
            if level < self._shared_level:
                found = self._family.tables
                tables = [(virtual, found[at] * PAGE) for virtual, at in entries if at in found]
            else:
                top = self._levels[0][0] + 8
                for virtual, at in entries:
                    if at in self._family.tables or at in self._family.large:
                        upper = self.pointer_size == 8 and virtual >> top
                        yield virtual | (1 << 64) - (1 << top) if upper else virtual, at

    def _forget(self, at: int) -> None:
        for known in (self._family.leaves, self._family.large, self._family.tables):
            known.pop(at, None)

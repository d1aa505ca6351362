"""Page tables of the simulated machine: virtual memory is mapped, written and read back through them."""

from collections.abc import Sequence
from typing import Literal

from poolsleuth.lab.page_table_entries import State
from poolsleuth.lab.page_table_tree import FOUR_GB, Leaf, PageTableTree
from poolsleuth.lab.physical import PAGE

PrototypeState = Literal["valid", "transition", "paged-out", "demand-zero", "file"]
"""What a prototype entry says of its page."""


class AddressSpaceWriter(PageTableTree):
    """The virtual memory of one process. The first one made is the system process.

    ``build`` chooses how pages that are not there are written. ``self_map`` is the slot of the root through which the
    tables show themselves (x64, ARM64; on x86 they always lie at C0000000). ``session`` is the range of addresses
    (begin, end) that each session has for its own, ``kernel_start`` the first address of the kernel's half on x86. For
    the rest see ``EntryLayout``.
    """

    def share_kernel_half(self, *, session_of: "AddressSpaceWriter | None" = None) -> "AddressSpaceWriter":
        """Another process: the kernel's half is common (whatever is mapped there later, too), the user's half is empty.

        Its session space is its own, or that of ``session_of``.
        """
        return AddressSpaceWriter(
            self.physical,
            self.mode,
            self.build,
            self_map=self.self_map,
            session=self.session,
            kernel_start=self.kernel_start,
            invalid_pte_mask=self.layout.invalid_pte_mask,
            paged_pool_base=self.layout.paged_pool_base,
            swizzle_bit=self.layout.swizzle_bit,
            _relative=self,
            _session_of=session_of,
        )

    def map(
        self,
        virtual: int,
        count_pages: int = 1,
        *,
        pages: int | Sequence[int] | None = None,
        large: bool | Literal["huge"] = False,
        state: State = "valid",
        prototype_at: int | None = None,
        prototype_state: PrototypeState | None = None,
        page_file: tuple[int, int] = (0, 0x1000),
    ) -> None:
        """Map ``count_pages`` small pages from ``virtual`` on.

        ``pages``: the physical pages (one number: consecutive ones); fresh ones are taken where it is None. ``large``
        maps large pages (2 MB; 4 MB on x86 without PAE), ``"huge"`` pages of 1 GB: address, count and physical page
        must be multiples of them. ``state`` "prototype": the prototype entries lie one behind the other in virtual
        memory from ``prototype_at`` on (they are written there, and the memory for them is mapped if it is not), in
        ``prototype_state``; "file" is a page that is still in the file it was mapped from. Where that is None, entries
        that were written before are shared as they are, and new ones are in transition. ``page_file``: number and
        offset in pages of the first page that is paged out; the others follow. What was mapped at these addresses
        before is forgotten.

        Raises ValueError for addresses, pages and states that no machine has.
        """
        if virtual % PAGE or count_pages < 1:
            raise ValueError("whole pages are mapped")
        self._check(virtual, count_pages * PAGE)
        if large:
            if state != "valid":
                raise ValueError("a large page is always there")
            self._map_large(virtual, count_pages, pages, len(self._levels) - (3 if large == "huge" else 2))
            return
        if state == "prototype":
            self._map_prototypes(virtual, count_pages, pages, prototype_at, prototype_state, page_file)
            return
        held = self._pages(count_pages, pages) if state in ("valid", "transition") else None
        for i in range(count_pages):
            address = virtual + i * PAGE
            leaf = Leaf(state, None if held is None else held[i])
            self._put_leaf(address, leaf, self._entry(leaf, address, (page_file[0], page_file[1] + i)))

    def unmap(self, virtual: int, count_pages: int = 1) -> None:
        """Nothing lies at these addresses any more. The page tables stay. A large page goes as a whole."""
        for address in range(virtual, virtual + count_pages * PAGE, PAGE):
            found = self._find(address)
            if found is not None:
                level, at = found
                self._forget(at)
                self._put_entry(address, level, at, 0)

    def write(self, virtual: int, data: bytes | bytearray | memoryview) -> None:
        """Write virtual memory; pages that are not mapped yet are mapped to fresh ones.

        Raises ValueError where a page is paged out or was never touched.
        """
        view = memoryview(data).cast("B")
        self._check(virtual, len(view))
        done = 0
        while done < len(view):
            address = virtual + done
            skip = address % PAGE
            part = view[done : done + PAGE - skip]
            physical = self.translate(address)
            if physical is None:
                if self.state(address) is not None:
                    raise ValueError(f"the page at {address:#x} has no memory: it is {self.state(address)}")
                self.map(address - skip)
                physical = self.translate(address)
            assert physical is not None
            self.physical.write(physical, part)
            done += len(part)

    def read(self, virtual: int, size: int) -> bytes:
        """Read virtual memory. Raises ValueError where a page is not mapped or has no memory."""
        parts: list[bytes] = []
        while size > 0:
            physical = self.translate(virtual)
            if physical is None:
                raise ValueError(f"no memory at {virtual:#x}: it is {self.state(virtual) or 'not mapped'}")
            count = min(size, PAGE - virtual % PAGE)
            parts.append(self.physical.read(physical, count))
            virtual, size = virtual + count, size - count
        return b"".join(parts)

    def translate(self, virtual: int) -> int | None:
        """The physical address, also of pages in transition and behind prototypes; None where no memory holds it."""
        found = self._find(virtual)
        if found is None:
            return None
        level, at = found
        if at in self._family.large:
            return self._family.large[at] * PAGE + virtual % (1 << self._levels[level][0])
        page = self._family.leaves[at].page
        return None if page is None else page * PAGE + virtual % PAGE

    def state(self, virtual: int) -> State | None:
        """How a page is mapped; None where nothing is."""
        found = self._find(virtual)
        if found is None:
            return None
        leaf = self._family.leaves.get(found[1])
        return "valid" if leaf is None else leaf.state

    def entry_address(self, virtual: int) -> int | None:
        """The physical address of the entry that maps an address (None: there is none); for damage done on purpose."""
        found = self._find(virtual)
        return None if found is None else found[1]

    def _pages(self, count: int, pages: int | Sequence[int] | None) -> list[int]:
        below = FOUR_GB if self.mode == "x86" else 1 << 40
        if pages is None:
            return self.physical.take(count, contiguous=False, below=below)
        listed = list(range(pages, pages + count)) if isinstance(pages, int) else list(pages)
        if len(listed) != count or max(listed) >= below:
            raise ValueError(f"{count} physical pages are to be given, which such page tables can point at")
        for number in listed:
            self.physical.claim(number)
        return listed

    def _entry(self, leaf: Leaf, virtual: int, page_file: tuple[int, int]) -> int:
        if leaf.state == "paged-out":
            return self.layout.page_file(*page_file)
        if leaf.state == "demand-zero" or leaf.page is None:
            return self.layout.demand_zero()
        if leaf.state == "transition":
            return self.layout.transition(leaf.page)
        return self.layout.valid(leaf.page, user=self._is_user(virtual))

    def _put_leaf(self, virtual: int, leaf: Leaf, value: int) -> None:
        level = len(self._levels) - 1
        at = self._slot(virtual, level)
        self._family.leaves[at] = leaf
        self._put_entry(virtual, level, at, value)

    def _map_large(self, virtual: int, count: int, pages: int | Sequence[int] | None, level: int) -> None:
        if self.mode in ("x86", "pae") and level != len(self._levels) - 2:
            raise ValueError("x86 has no pages of 1 GB")
        each = 1 << (self._levels[level][0] - 12)
        if virtual // PAGE % each or count % each:
            raise ValueError(f"such pages are multiples of {each} small ones")
        if pages is not None and not isinstance(pages, int):
            raise ValueError("large pages are given by the first physical page")
        below = FOUR_GB if self.mode == "x86" else 1 << 40
        first = self.physical.take(count, align=each, below=below) if pages is None else pages
        if first % each or first + count > below:
            raise ValueError(f"such pages lie at multiples of {each} pages in physical memory, too")
        self.physical.claim(first, count)
        user = self._is_user(virtual)
        for i in range(0, count, each):
            at = self._slot(virtual + i * PAGE, level)
            self._forget(at)
            self._family.large[at] = first + i
            self._put_entry(virtual + i * PAGE, level, at, self.layout.valid(first + i, user=user, large=True))

    def _map_prototypes(
        self,
        virtual: int,
        count: int,
        pages: int | Sequence[int] | None,
        at: int | None,
        state: PrototypeState | None,
        page_file: tuple[int, int],
    ) -> None:
        if at is None:
            raise ValueError("the address of the prototype entries is to be given")
        for i in range(count):
            place = at + i * self.layout.size
            known = self._family.prototypes.get(self.translate(place) or 0) if state is None and pages is None else None
            if known is None:
                given = None if pages is None else pages + i if isinstance(pages, int) else pages[i : i + 1]
                known = self._write_prototype(place, state or "transition", given, (page_file[0], page_file[1] + i))
            self._put_leaf(virtual + i * PAGE, known, self.layout.prototype(place))

    def _write_prototype(
        self, place: int, state: PrototypeState, pages: int | Sequence[int] | None, page_file: tuple[int, int]
    ) -> Leaf:
        page: int | None = None
        if state == "file":
            value = self.layout.prototype(place)  # any address: the subsection of the file is not simulated
        else:
            page = self._pages(1, pages)[0] if state in ("valid", "transition") else None
            value = self._entry(Leaf(state, page), place, page_file)
        self.write(place, value.to_bytes(self.layout.size, "little"))
        found = Leaf("prototype", page)
        self._family.prototypes[self.translate(place) or 0] = found
        return found

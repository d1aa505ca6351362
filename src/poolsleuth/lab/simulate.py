"""Builds the memory of a machine whose truth is known, so that a dump of it can be written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from poolsleuth.lab.address_plan import plan_addresses
from poolsleuth.lab.block_contents import fill_blocks, object_headers
from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.containers.kinds import DumpKind, write_dump
from poolsleuth.lab.counters import invalid_pte_mask, write_counters
from poolsleuth.lab.identity import header_fields, write_identity
from poolsleuth.lab.lists import kernel_pieces, write_modules, write_resources, write_unloaded
from poolsleuth.lab.machine import PAGE, Hidden, Machine, PoolPages
from poolsleuth.lab.page_tables import AddressSpaceWriter
from poolsleuth.lab.physical import PhysicalImage
from poolsleuth.lab.pool_pages import place_pool_pages, write_pool_pages
from poolsleuth.lab.pool_tables import settle_big_pages, write_big_pages, write_descriptors, write_tags
from poolsleuth.lab.processes import make_spaces, write_processes
from poolsleuth.lab.processors import reserve_processors, write_processors
from poolsleuth.lab.scene import Area, KernelImage, Scene
from poolsleuth.lab.segment_heap.place import (
    PlacedHeap,
    align_plan,
    end_of_state,
    place_heaps,
    session_states,
    write_heap,
    write_session_heaps,
)
from poolsleuth.lab.sessions import session_addresses, write_session_pages, write_sessions
from poolsleuth.lab.structures import layout_of

__all__ = ["SimulatedMachine", "simulate"]

# Page numbers of the system's root table, as they are on real machines
_ROOT_32, _ROOT_64_OLD, _ROOT_64 = 0x39, 0x187, 0x1AD
_FIRST_WITH_HIGHER_ROOT = 9200
# Bytes of memory from which on the kernel, and nonpaged pool, lie in large pages: both kinds of page shall occur
_LARGE_KERNEL_FROM, _LARGE_POOL_FROM = 1 << 30, 32 << 30


class _SystemSpace(AddressSpaceWriter):
    """The system's address space. Its root lies low in memory, where the loader of Windows puts it.

    Readers that search for it look there only.
    """

    def _new_table(self) -> int:
        if hasattr(self, "dtb") or self.mode == "pae":
            return super()._new_table()
        number = (
            _ROOT_32 if self.mode == "x86" else (_ROOT_64 if self.build >= _FIRST_WITH_HIGHER_ROOT else _ROOT_64_OLD)
        )
        self.physical.page(number)
        return number


@dataclass(frozen=True, slots=True)
class SimulatedMachine:
    """A machine in memory. ``truth`` is what was asked for, with all addresses filled in.

    ``spaces`` are the address spaces by process id (4 is the system's). ``left_out`` are physical pages that a dump
    does not hold though they exist.
    """

    truth: Machine
    physical: PhysicalImage
    header: DumpHeaderFields
    spaces: dict[int, AddressSpaceWriter]
    left_out: frozenset[int]

    @property
    def system(self) -> AddressSpaceWriter:
        """The address space of the system process."""
        return self.spaces[4]

    def write(self, path: Path, kind: DumpKind | str) -> int:
        """Write a dump; returns the number of pages in it. Raises FileExistsError, ValueError as ``write_dump``."""
        return write_dump(path, self.physical, self.header, kind, leave_out=self.left_out)


def simulate(machine: Machine, *, seed: int | None = None) -> SimulatedMachine:
    """Build a machine. The same machine and seed (its own when None) give the same bytes.

    Raises InputError when the package knows nothing of that Windows.
    """
    chosen = machine.seed if seed is None else seed
    random = Random(chosen)
    layout = layout_of(machine.windows)
    plan = plan_addresses(machine.windows, random)
    if machine.heaps:
        plan = align_plan(plan)
    physical = PhysicalImage(machine.pages, seed=chosen)
    system = _SystemSpace(
        physical,
        machine.windows.mode,
        machine.windows.build,
        self_map=plan.self_map or 0x1ED,
        invalid_pte_mask=invalid_pte_mask(layout),
        paged_pool_base=plan.paged if layout.pointer == 4 else 0xE1000000,
    )
    spaces = make_spaces(machine, system)
    size = -(-max(layout.end, end_of_state(layout)) // 0x1000) * 0x1000 + 0x8000
    kernel = machine.modules[0]
    scene = Scene(
        machine=replace(
            machine,
            modules=(replace(kernel, size=size, pdb=layout.pdb or kernel.pdb), *machine.modules[1:]),
            big_pages=settle_big_pages(machine.big_pages, plan.nonpaged, plan.paged),
        ),
        layout=layout,
        plan=plan,
        image=KernelImage(layout, plan.kernel, size),
        nonpaged=Area(plan.nonpaged),
        paged=Area(plan.paged),
        physical=physical,
        system=system,
        random=random,
    )
    descriptors: dict[tuple[bool, int], int] = {}
    truth = _fill(scene, spaces, descriptors)
    processors = reserve_processors(scene)
    headers = object_headers(scene)
    pool_pages = place_pool_pages(scene, truth.processes, descriptors)
    write_processors(scene, processors, pool_pages)
    heaps = place_heaps(scene, truth.processes)
    fill_blocks(scene, truth, pool_pages, heaps, headers)
    _write_kernel(scene)
    absent, left_out = _write_areas(scene, machine.hidden, pool_pages, heaps)
    write_session_heaps(heaps, spaces, truth.processes)
    write_session_pages(scene, spaces, truth.processes, pool_pages)
    return SimulatedMachine(
        truth=replace(
            truth,
            pool_pages=pool_pages,
            heaps=tuple(heap.truth for heap in heaps),
            places=dict(sorted(scene.image.known.items())),
            absent_pages=absent,
            layout=layout.source,
        ),
        physical=physical,
        header=header_fields(scene),
        spaces=spaces,
        left_out=left_out,
    )


def _fill(scene: Scene, spaces: dict[int, AddressSpaceWriter], descriptors: dict[tuple[bool, int], int]) -> Machine:
    """Place everything; gives the truth with the addresses that came out of it, and fills in those of descriptors."""
    write_tags(scene)
    write_big_pages(scene)
    descriptors.update(write_descriptors(scene))
    processes = write_processes(scene, spaces, session_addresses(scene))
    return replace(
        scene.machine,
        modules=write_modules(scene),
        unloaded=write_unloaded(scene),
        resources=write_resources(scene, processes),
        processes=processes,
        sessions=write_sessions(scene, spaces, processes, session_states(scene)),
        memory=write_counters(scene),
    )


def _write_kernel(scene: Scene) -> None:
    """Map the image of the kernel and write its headers and variables."""
    write_identity(scene)
    image = scene.image
    area = Area(image.base)
    area.reserve(image.size)
    for relative, data in kernel_pieces(scene):
        area.put(image.base + relative, data)
    for address, data in image.pieces:
        area.put(address, data)
    area.write(scene.system, scene.random, large=_maps_large(scene, _LARGE_KERNEL_FROM))


def _maps_large(scene: Scene, least: int) -> bool:
    """Whether large pages are used: on 64-bit Windows 10 with so many bytes of memory."""
    windows = scene.layout.windows
    return windows.build >= 10240 and windows.architecture == "x64" and scene.machine.physical_bytes >= least


def _write_areas(
    scene: Scene, hidden: Hidden, pool_pages: tuple[PoolPages, ...], heaps: tuple[PlacedHeap, ...]
) -> tuple[tuple[int, ...], frozenset[int]]:
    """Write both pools; gives the virtual pages that no reader can see, and the physical pages left out of the dump."""
    space, random = scene.system, scene.random
    scene.nonpaged.write(space, random, large=_maps_large(scene, _LARGE_POOL_FROM))
    pages: list[int] = list(range(scene.paged.start, scene.paged.start + scene.paged.pages * PAGE, PAGE))
    states = _states(pages, hidden, random)
    scene.paged.write(space, random, states.__getitem__)
    for part in pool_pages:
        if part.pool == "nonpaged":
            write_pool_pages(part, space, random)
            continue
        if part.pool == "session":
            continue  # they are mapped in their session's processes only
        mine = part.addresses.tolist()
        states |= _states(mine, hidden, random)
        pages += mine
        write_pool_pages(part, space, random, states.__getitem__)
    for heap in heaps:
        if heap.truth.pool == "paged":
            mine = heap.addresses()
            states |= _states(mine, hidden, random)
            pages += mine
            write_heap(heap, space, random, states.__getitem__)
        elif heap.truth.session is None:
            write_heap(heap, space, random)
    left = _left_out(scene, pages, hidden)
    absent = [page for page in pages if states[page] == "paged-out"]
    return tuple(sorted(absent + list(left))), frozenset(left.values())


def _states(pages: Sequence[int], hidden: Hidden, random: Random) -> dict[int, str]:
    found: dict[int, str] = {}
    for page in pages:
        drawn = random.random()
        if drawn < hidden.paged_out:
            found[page] = "paged-out"
        elif drawn < hidden.paged_out + hidden.transition:
            found[page] = "transition"
        else:
            found[page] = "valid"
    return found


def _left_out(scene: Scene, pages: Sequence[int], hidden: Hidden) -> dict[int, int]:
    """Virtual page to the physical page that the dump does not hold."""
    translate: Callable[[int], int | None] = scene.system.translate
    found: dict[int, int] = {}
    for page in pages:
        place = translate(page)
        if place is not None and scene.random.random() < hidden.left_out:
            found[page] = place // PAGE
    return found

"""Where the fields of a kernel's segment heaps lie: all of them from its own symbols, none from memory.

Verified on constructed heaps only: no dump of a machine with this allocator was at hand.
"""

from dataclasses import dataclass

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field, Structure

MAX_SIZE = 1 << 20  # bytes of a structure: the state of all pools has 0x86940
DESCRIPTORS = 256  # page range descriptors of a segment, in all known builds
_WIDTHS = (1, 2, 4, 8)

_NEEDED = {
    "_SEGMENT_HEAP": ("Signature", "LargeAllocMetadata", "SegContexts"),
    "_HEAP_SEG_CONTEXT": ("UnitShift", "FirstDescriptorIndex", "SegmentListHead"),
    "_HEAP_PAGE_SEGMENT": ("ListEntry", "Signature"),
    "_HEAP_PAGE_RANGE_DESCRIPTOR": ("RangeFlags", "UnitSize"),
    "_HEAP_LFH_SUBSEGMENT": ("BlockCount", "BlockOffsets", "BlockBitmap"),
    "_HEAP_VS_SUBSEGMENT": ("Size", "Signature"),
    "_HEAP_VS_CHUNK_HEADER": ("Sizes.UnsafeSize", "Sizes.UnsafePrevSize", "Sizes.Allocated"),
    "_HEAP_LARGE_ALLOC_DATA": ("TreeNode", "VirtualAddress", "AllocatedPages"),
    "_POOL_HEADER": ("PoolTag",),
}


@dataclass(frozen=True, slots=True)
class Bits:
    """Bits within a header of 4 or 8 bytes."""

    shift: int
    mask: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeapLayout:
    """Offsets in bytes. ``unit`` is that of sizes in chunk and block headers: two pointers."""

    pointer_size: int
    unit: int
    heap: Structure
    context: Structure
    context_size: int
    segment: Structure
    descriptor: Structure
    large: Structure
    lfh_count: int
    lfh_offsets: int
    lfh_bitmap: int
    vs_size: int
    vs_signature: int
    vs_first_chunk: int
    chunk_header: int
    chunk_size: Bits
    chunk_previous: Bits
    chunk_allocated: Bits
    tag: int


def layout_of(kernel: Kernel) -> HeapLayout | str:
    """The layout of this kernel's heaps, or a sentence that says what is not known of it."""
    if kernel.pointer_size != 8:
        return "segment heaps of 32-bit kernels are not read: no layout of one was at hand to check it"
    found: dict[str, Structure] = {}
    for name, fields in _NEEDED.items():
        structure = kernel.structure(name)
        if structure is None:
            return f"the layout of {name} is not known: the blocks of segment heaps are not read"
        if not 0 < structure.size <= MAX_SIZE:
            return f"the layout of {name} cannot be right: the blocks of segment heaps are not read"
        for field in fields:
            if not _usable(structure.fields.get(field), structure):
                return f"the place of {name}.{field} is not known: the blocks of segment heaps are not read"
        found[name] = structure
    pointer = kernel.pointer_size
    lfh, vs = found["_HEAP_LFH_SUBSEGMENT"], found["_HEAP_VS_SUBSEGMENT"]
    chunk, header = found["_HEAP_VS_CHUNK_HEADER"], found["_POOL_HEADER"]
    contexts = found["_SEGMENT_HEAP"].fields["SegContexts"]
    aligned = (
        (lfh.fields["BlockCount"].offset, 2),
        (lfh.fields["BlockOffsets"].offset, 4),
        (vs.fields["Size"].offset, 2),
        (vs.fields["Signature"].offset, 2),
        (header.fields["PoolTag"].offset, 4),
    )
    small = max(lfh.size, vs.size, chunk.size, header.size) <= PAGE
    each = found["_HEAP_SEG_CONTEXT"].size
    if not small or any(at % width for at, width in aligned) or (contexts.size or 2 * each) != 2 * each:
        return "the layout of this kernel's segment heaps is of a kind that is not known: their blocks are not read"
    unit = 2 * pointer
    return HeapLayout(
        pointer_size=pointer,
        unit=unit,
        heap=found["_SEGMENT_HEAP"],
        context=found["_HEAP_SEG_CONTEXT"],
        context_size=each,
        segment=found["_HEAP_PAGE_SEGMENT"],
        descriptor=found["_HEAP_PAGE_RANGE_DESCRIPTOR"],
        large=found["_HEAP_LARGE_ALLOC_DATA"],
        lfh_count=lfh.fields["BlockCount"].offset,
        lfh_offsets=lfh.fields["BlockOffsets"].offset,
        lfh_bitmap=lfh.fields["BlockBitmap"].offset,
        vs_size=vs.fields["Size"].offset,
        vs_signature=vs.fields["Signature"].offset,
        vs_first_chunk=-(-vs.size // unit) * unit,
        chunk_header=unit,
        chunk_size=_bits(chunk.fields["Sizes.UnsafeSize"], pointer),
        chunk_previous=_bits(chunk.fields["Sizes.UnsafePrevSize"], pointer),
        chunk_allocated=_bits(chunk.fields["Sizes.Allocated"], pointer),
        tag=header.fields["PoolTag"].offset,
    )


def _usable(place: Field | None, structure: Structure) -> bool:
    if place is None or place.offset < 0 or place.offset + (place.size or 1) > structure.size:
        return False
    return place.bit is None or (place.size in _WIDTHS and place.bits is not None and 0 < place.bits <= 64)


def _bits(place: Field, pointer_size: int) -> Bits:
    width = place.bits if place.bits is not None else 8 * (place.size or pointer_size)
    return Bits(8 * place.offset + (place.bit or 0), (1 << width) - 1)

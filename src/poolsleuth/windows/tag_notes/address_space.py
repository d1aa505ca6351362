"""Address descriptors of processes, session memory and what drivers lock or map."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_mm = partial(TagNote, component="nt!mm, the memory manager", binary="nt!mm")

NOTES: tuple[TagNote, ...] = (
    _mm(
        pattern="Vad",
        role=Role.OBJECT_PART,
        holds="Address descriptors: one for each range of virtual memory that a process reserved or mapped.",
        growth=(
            "Grows with processes that hold very many small mappings or reservations: an address space "
            "leak in user mode."
        ),
        next_step=(
            "Find the process with `!process 0 0`, then `!vad` in its context; VMMap shows the same on a live system."
        ),
    ),
    _mm(
        pattern="VadS",
        role=Role.OBJECT_PART,
        holds="Short address descriptors for private memory ranges of processes.",
        growth="Same meaning as Vad: a user process with a huge number of small VirtualAlloc ranges.",
        next_step="`!process 0 1` shows the VadRoot and counts; `!vad` or VMMap for the process.",
    ),
    _mm(
        pattern="Vadl",
        role=Role.OBJECT_PART,
        holds="Long address descriptors, for mapped views and ranges with extra attributes.",
        growth="Follows mapped files and sections per process.",
        next_step="`!vad` in the process with the most mappings.",
    ),
    _mm(
        pattern="VadF",
        role=Role.OBJECT_PART,
        holds="Address descriptors that arise when freeing the middle of a range splits it.",
        growth="A process that frees pieces of its reservations fragments its own address space.",
        next_step="VMMap or `!vad` for that process.",
    ),
    _mm(
        pattern="Vad?",
        role=Role.OBJECT_PART,
        holds="One of the kinds of virtual address descriptor.",
        growth="The cause is a user process with many ranges.",
        next_step="`!vad` in the process; VMMap on a live system.",
    ),
    _mm(
        pattern="BIG",
        role=Role.SESSION,
        holds=(
            "Session pool blocks larger than a page; NT 4 also lumps large blocks under it once its "
            "table for them is full."
        ),
        growth="Follows large session allocations such as bitmaps and surfaces of win32k.",
        next_step="`!poolused 8` in a process of the session, after `!session -s <n>`.",
    ),
)

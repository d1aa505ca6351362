"""What Driver Verifier allocates beside the drivers it watches."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_vf = partial(TagNote, component="nt!vf, Driver Verifier", binary=None)

NOTES: tuple[TagNote, ...] = (
    _vf(
        pattern="Vepp",
        role=Role.VERIFIER,
        holds="Records in which Driver Verifier tracks the pool of verified drivers.",
        growth="Follows allocations of those drivers; it is overhead and no leak.",
        next_step="`!verifier 3` shows the tracked allocations by driver; `verifier /reset` ends it.",
    ),
    _vf(
        pattern="VfPT",
        role=Role.VERIFIER,
        holds="Stack traces of pool allocations and frees kept by Driver Verifier.",
        growth="A fixed log.",
        next_step="`!verifier 0x80 <address>` searches it.",
    ),
    _vf(
        pattern="VfAT",
        role=Role.VERIFIER,
        holds="Search trees of Driver Verifier.",
        growth="Follows verified activity.",
        next_step="`verifier /querysettings`.",
    ),
    _vf(
        pattern="Vfwi",
        role=Role.VERIFIER,
        holds="Work items that Driver Verifier allocated for a verified driver.",
        growth="Follows that driver's work items.",
        next_step="`!verifier` for the drivers.",
    ),
    _vf(
        pattern="VMdl",
        role=Role.VERIFIER,
        holds="Descriptor lists that Driver Verifier allocated for a verified driver.",
        growth="Stands for Mdl while verification is on.",
        next_step="`!verifier` for the drivers; read it like Mdl.",
    ),
    _vf(
        pattern="Irp+",
        role=Role.VERIFIER,
        holds="Request packets that Driver Verifier allocated for verified drivers.",
        growth="Stands for Irp while verification is on.",
        next_step="`!irpfind`; `!verifier` for the drivers.",
    ),
    _vf(
        pattern="Irpt",
        role=Role.VERIFIER,
        holds="Tracking data that Driver Verifier keeps per request packet.",
        growth="Follows requests of verified drivers.",
        next_step="`verifier /querysettings`.",
    ),
    _vf(
        pattern="IrpB",
        role=Role.VERIFIER,
        holds="Doubles of direct I/O buffers made by Driver Verifier.",
        growth="Follows requests of verified drivers.",
        next_step="`verifier /querysettings`.",
    ),
    _vf(
        pattern="Dlck",
        role=Role.VERIFIER,
        holds="Structures of the verifier's deadlock detection.",
        growth="Follows the locks of verified drivers.",
        next_step="`!deadlock`; `verifier /querysettings`.",
    ),
    _vf(
        pattern="HalV",
        role=Role.VERIFIER,
        holds="Structures of the verifier's DMA checking.",
        growth="Follows DMA of verified drivers.",
        next_step="`!dma`; `verifier /querysettings`.",
    ),
    _vf(
        pattern="Fltt",
        role=Role.VERIFIER,
        holds="Stacks of failures that Driver Verifier injected.",
        growth="A fixed log; allocations fail on purpose while this is on.",
        next_step="`verifier /querysettings`; do not read the failures as pool exhaustion.",
    ),
)

"""What must be known of a machine before its addresses can be translated."""

from dataclasses import dataclass

from poolsleuth.kernel.paging.layout import Mode, PteLayout, layout_of
from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import KernelTable

USUAL_INVALID_PTE_MASK = 1 << 45  # on Intel processors that need it, as MemProcFS knows it; 0 on others
_WINDOWS_8 = 9200  # from here on x86 kernels always use PAE


@dataclass(frozen=True, slots=True, kw_only=True)
class PagingParameters:
    """How addresses are translated.

    ``invalid_pte_mask`` is the kernel's ``MiState.Hardware.InvalidPteMask``. None when it is not known: then invalid
    entries are taken as swizzled with the usual mask, and what follows from that is called a guess.
    ``paged_pool_start`` (MmPagedPoolStart) is needed for the prototype entries of 2000 to 2003 without PAE only; None
    leaves them undecoded.
    """

    mode: Mode
    build: int
    layout: PteLayout
    invalid_pte_mask: int | None = None
    paged_pool_start: int | None = None

    @property
    def swizzle_mask(self) -> int:
        """The bits that are taken out of an invalid entry whose swizzle bit is clear; 0 where there is none."""
        if self.layout.swizzle is None:
            return 0
        return USUAL_INVALID_PTE_MASK if self.invalid_pte_mask is None else self.invalid_pte_mask & (1 << 64) - 1

    @property
    def transition_mask(self) -> int:
        """The bits that are never part of the page number of a transition entry.

        Without a known mask bit 45 is left out whatever the swizzle bit says: a page number that has it would lie
        beyond 32 TB, and kernels that were serviced in 2018 swizzle although their build does not tell.
        """
        unknown = self.invalid_pte_mask is None and self.mode in (Mode.X64, Mode.X64_LA57)
        return USUAL_INVALID_PTE_MASK if unknown else 0


def parameters_for(
    build: int,
    architecture: str,
    pae: bool | None,
    table: KernelTable | None = None,
    *,
    la57: bool = False,
    invalid_pte_mask: int | None = None,
    paged_pool_start: int | None = None,
) -> PagingParameters:
    """The parameters of a kernel. ``architecture`` is ``x86``, ``x64`` or ``arm64``, as the header of a dump says it.

    ``pae`` only counts on x86. None there: the size of an entry in the symbols tells; without them PAE is taken from
    Windows 8 on, where there is nothing else, and guessed before it. Raises InputError for another architecture.
    """
    if architecture == "x64":
        mode = Mode.X64_LA57 if la57 else Mode.X64
    elif architecture == "arm64":
        mode = Mode.ARM64
    elif architecture == "x86":
        hardware = None if table is None else table.structures.get("_MMPTE_HARDWARE")
        if build >= _WINDOWS_8 or (pae is None and hardware is None):
            pae = True
        elif pae is None and hardware is not None:
            pae = hardware.size == 8
        mode = Mode.X86_PAE if pae else Mode.X86
    else:
        raise InputError(f"memory of {architecture} cannot be read: page tables are known of x86, x64 and arm64")
    return PagingParameters(
        mode=mode,
        build=build,
        layout=layout_of(mode, build, table),
        invalid_pte_mask=invalid_pte_mask,
        paged_pool_start=paged_pool_start,
    )

"""ReFS, FAT and the optical file systems."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_refs = partial(TagNote, component="refs.sys, the ReFS file system", binary="refs.sys")
_fat = partial(TagNote, component="fastfat.sys, the FAT file system", binary="fastfat.sys")
_cdfs = partial(TagNote, component="cdfs.sys, the CD file system", binary="cdfs.sys")
_udfs = partial(TagNote, component="udfs.sys, the DVD file system", binary="udfs.sys")

NOTES: tuple[TagNote, ...] = (
    _refs(
        pattern="Reff",
        role=Role.CACHE,
        holds="File control blocks of ReFS for data files.",
        growth="Follows files in use, like Ntff for NTFS.",
        next_step="`!filecache` for the cached files.",
        since="8",
    ),
    _refs(
        pattern="Refr",
        role=Role.CACHE,
        holds="Kernel locks (ERESOURCE) that ReFS attaches to files.",
        growth="Follows files in use, like Ntfr for NTFS.",
        next_step="Compare with File.",
        since="8",
    ),
    _refs(
        pattern="Ref?",
        role=Role.CACHE,
        holds="Some structure of ReFS, named after its NTFS counterpart.",
        growth="Follows files in use.",
        next_step="Read it like the NTFS tag with the same last letter.",
    ),
    _refs(
        pattern="ReF?",
        role=Role.CACHE,
        holds="Memory of one source module of ReFS.",
        growth="Follows files in use.",
        next_step="Look up the letter in pooltag.txt.",
        since="8",
    ),
    _refs(
        pattern="MS??",
        role=Role.CACHE,
        holds=(
            "Memory of Minstore, the storage engine inside ReFS (MSeg of the memory manager and MST? of "
            "kernel streaming are exceptions)."
        ),
        growth=(
            "Metadata kept in memory: it follows the number of files and the amount of writing, block "
            "cloning and backup most."
        ),
        next_step="Install the newest ReFS fixes; watch it over a backup with poolmon.",
    ),
    _fat(
        pattern="Fat",
        role=Role.CACHE,
        holds="Allocations of the FAT file system without a finer tag.",
        growth="Follows removable media and FAT volumes in use.",
        next_step="`fsutil fsinfo volumeinfo <drive>:` for the FAT volumes.",
    ),
    _fat(
        pattern="FatF",
        role=Role.CACHE,
        holds="File control blocks of FAT volumes.",
        growth="Follows files in use there.",
        next_step="Find what works on the FAT volume with Process Monitor.",
    ),
    _fat(
        pattern="FatN",
        role=Role.CACHE,
        holds="Nonpaged part of the FAT file control blocks.",
        growth="Follows files in use.",
        next_step="Find what works on the FAT volume with Process Monitor.",
    ),
    _fat(
        pattern="Fat?",
        role=Role.CACHE,
        holds="Some structure of the FAT file system.",
        growth="Follows files in use on FAT volumes.",
        next_step="Look up the exact tag in pooltag.txt.",
    ),
    _cdfs(
        pattern="Cdf?",
        role=Role.CACHE,
        holds="Some structure of the CD file system.",
        growth="Follows mounted discs and images.",
        next_step="Eject discs and unmount images that are not needed.",
    ),
    _udfs(
        pattern="Udf?",
        role=Role.CACHE,
        holds="Some structure of the UDF file system.",
        growth="Follows mounted discs and images.",
        next_step="Eject discs and unmount images that are not needed.",
    ),
)

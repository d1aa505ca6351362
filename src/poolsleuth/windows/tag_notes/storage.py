"""Disks, ports, volumes, shadow copies and virtual disks."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_stor = partial(TagNote, component="storport.sys, the storage port", binary="storport.sys")
_ra = partial(TagNote, component="storport.sys, or the raw sockets of tcpip.sys", binary=None)
_scsi = partial(TagNote, component="classpnp.sys, disk.sys, cdrom.sys and scsiport.sys, the disk classes", binary=None)
_volsnap = partial(TagNote, component="volsnap.sys, volume shadow copies", binary="volsnap.sys")
_volmgr = partial(TagNote, component="volmgr.sys, the volume manager", binary="volmgr.sys")
_volmgrx = partial(TagNote, component="volmgrx.sys, dynamic volumes", binary="volmgrx.sys")
_vhd = partial(TagNote, component="vhdmp.sys, virtual hard disks", binary="vhdmp.sys")
_vsp = partial(TagNote, component="storvsp.sys, virtual storage for Hyper-V guests", binary="storvsp.sys")
_clus = partial(TagNote, component="cluster drivers", binary=None)

NOTES: tuple[TagNote, ...] = (
    _stor(
        pattern="RaRS",
        role=Role.IO,
        holds="Resources of a disk unit in the storage port, made in one batch per unit.",
        growth=(
            "Fixed per disk: allocations without frees are normal. Growth follows disks that appear again and again."
        ),
        next_step="`!storagekd.storadapter` and `!storagekd.storunit` for the units.",
    ),
    _stor(
        pattern="RaSr",
        role=Role.IO,
        holds="Request blocks of the storage port.",
        growth="Follows transfers under way.",
        next_step="Disk queue counters; `!storagekd.storunit <address>` for the outstanding requests.",
    ),
    _stor(
        pattern="RaME",
        role=Role.CONTIGUOUS,
        holds="The private area of a storage adapter's driver.",
        growth="One per adapter, sized by its driver.",
        next_step="`!storagekd.storadapter`; update the adapter's driver.",
    ),
    _ra(
        pattern="Ra??",
        role=Role.OTHER,
        holds="The storage port for most letters; a few with the same start are raw sockets of tcpip.sys.",
        growth="Follows disks, or raw sockets.",
        next_step="Look up the exact tag in pooltag.txt.",
    ),
    _scsi(
        pattern="ScC?",
        role=Role.IO,
        holds="Memory of the disk class driver or of the CD driver.",
        growth="Fixed per device, or short-lived per request.",
        next_step="Look for devices that come and go: `!devnode 0 1`.",
    ),
    _scsi(
        pattern="ScD?",
        role=Role.IO,
        holds="Memory of the disk driver.",
        growth="Fixed per disk, or short-lived.",
        next_step="`!devnode 0 1` for disks that reappear; monitors that query disks too often.",
    ),
    _scsi(
        pattern="ScB?",
        role=Role.IO,
        holds="Memory of the disk class driver.",
        growth="Fixed per device, or short-lived.",
        next_step="Look for devices that come and go: `!devnode 0 1`.",
    ),
    _scsi(
        pattern="ScL?",
        role=Role.IO,
        holds="Memory of the disk class driver for media, power and management requests.",
        growth="Fixed per device, or short-lived.",
        next_step="Look for devices that come and go: `!devnode 0 1`.",
    ),
    _scsi(
        pattern="ScP?",
        role=Role.IO,
        holds="Memory of the old SCSI port.",
        growth="Follows adapters and requests.",
        next_step="`!minipkd.adapters`.",
    ),
    _scsi(
        pattern="ScR?",
        role=Role.IO,
        holds="Memory of the partition manager.",
        growth="Follows disks and partitions.",
        next_step="`!devnode 0 1`.",
    ),
    _scsi(
        pattern="Sc??",
        role=Role.IO,
        holds="Memory of mass storage drivers.",
        growth="Follows disks and requests.",
        next_step="Look up the exact tag in pooltag.txt.",
    ),
    _scsi(
        pattern="SC??",
        role=Role.OTHER,
        holds="Memory of smart card readers' drivers; the disk classes write a small c.",
        growth="Follows readers and cards.",
        next_step="Update the reader's driver; test without the reader.",
    ),
    _scsi(
        pattern="CPnp",
        role=Role.IO,
        holds="Transfer packets of the disk class driver.",
        growth="Follows parallel transfers, and stays for reuse after a peak.",
        next_step="Disk queue counters.",
    ),
    _scsi(
        pattern="IdeP",
        role=Role.IO,
        holds="Memory of the IDE port.",
        growth="Follows devices.",
        next_step="Nothing by itself.",
    ),
    _scsi(
        pattern="Fstb",
        role=Role.OTHER,
        holds="Memory of the partition table code.",
        growth="Rises for a moment when disks are scanned.",
        next_step="Look for monitors that rescan disks all the time.",
    ),
    _scsi(
        pattern="Dump",
        role=Role.OTHER,
        holds="Memory set aside for writing a crash dump.",
        growth="Fixed after start.",
        next_step="Nothing by itself.",
    ),
    _volsnap(
        pattern="VoSm",
        role=Role.OTHER,
        holds="Bitmaps of shadow copies: which blocks of the volume were changed.",
        growth="Follows the size of volumes and the number of shadow copies: megabytes on large volumes are normal.",
        next_step="`vssadmin list shadows` and `vssadmin list shadowstorage`; delete shadows a backup left.",
    ),
    _volsnap(
        pattern="VoSs",
        role=Role.IO,
        holds="Short-term memory of shadow copies.",
        growth="Follows copy-on-write traffic.",
        next_step="`vssadmin list shadows`.",
    ),
    _volsnap(
        pattern="VoSt",
        role=Role.OTHER,
        holds="Tables of moved blocks of shadow copies.",
        growth="Follows the age and number of shadow copies.",
        next_step="`vssadmin list shadows`.",
    ),
    _volsnap(
        pattern="VoSx",
        role=Role.IO,
        holds="Contexts of requests in the shadow copy driver.",
        growth="Follows writes while shadow copies exist.",
        next_step="`vssadmin list shadows`.",
    ),
    _volsnap(
        pattern="VoS?",
        role=Role.OTHER,
        holds="Some structure of volume shadow copies.",
        growth="Follows the number of shadow copies and the writes since.",
        next_step="`vssadmin list shadows`, `vssadmin list writers`.",
    ),
    _volmgr(
        pattern="VM??",
        role=Role.OTHER,
        holds="Memory of the volume manager; a few tags of the same start belong to virtual machine drivers.",
        growth="Follows volumes.",
        next_step="`diskpart list volume`.",
        since="Vista",
    ),
    _volmgrx(
        pattern="Vm??",
        role=Role.OTHER,
        holds="Memory of dynamic volumes; a few tags of the same start belong to virtual machine drivers.",
        growth="Follows dynamic disks and packets to them.",
        next_step="`diskpart list volume`.",
        since="Vista",
    ),
    _vhd(
        pattern="VHD?",
        role=Role.IO,
        holds="Memory of mounted virtual hard disks: tables, bitmaps, buffers.",
        growth="Follows mounted virtual disks and their traffic.",
        next_step="`Get-VHD`, `diskpart list vdisk`.",
        since="7",
    ),
    _vsp(
        pattern="VSt?",
        role=Role.IO,
        holds="Storage requests of virtual machines on a Hyper-V host.",
        growth="Follows guests' disk traffic.",
        next_step="`Get-VM`, disk queue counters.",
    ),
    _clus(
        pattern="CLB*",
        role=Role.IO,
        holds="Memory of the cluster block storage target.",
        growth="Follows clustered storage traffic.",
        next_step="`Get-ClusterResource`, cluster log.",
    ),
)

"""What every Windows machine has: modules, processes, resources, page files. Drawn by chance, the same for a seed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random

from poolsleuth.lab.machine import (
    PAGE,
    LoadedModule,
    LockOwner,
    PageFile,
    Process,
    Resource,
    SimulatedWindows,
    UnloadedModule,
)
from poolsleuth.windows.kernel_table import PdbId

_KERNEL_NAMES = {"x86": "ntoskrnl.exe", "pae": "ntkrnlpa.exe", "x64": "ntoskrnl.exe"}
_KERNEL_PDBS = {"x86": "ntkrnlmp.pdb", "pae": "ntkrpamp.pdb", "x64": "ntkrnlmp.pdb"}
_DRIVERS = (
    "hal.dll", "kdcom.dll", "ACPI.sys", "WMILIB.SYS", "pci.sys", "partmgr.sys", "volmgr.sys", "mountmgr.sys",
    "disk.sys", "CLASSPNP.SYS", "storport.sys", "fltmgr.sys", "Ntfs.sys", "ksecdd.sys", "ndis.sys", "NETIO.SYS",
    "tcpip.sys", "fwpkclnt.sys", "afd.sys", "netbt.sys", "rdbss.sys", "mup.sys", "srv.sys", "srv2.sys", "srvnet.sys",
    "HTTP.sys", "CLFS.SYS", "volsnap.sys", "cdrom.sys", "Null.SYS", "Beep.SYS", "VIDEOPRT.SYS", "watchdog.sys",
    "Msfs.SYS", "Npfs.SYS", "kbdclass.sys", "mouclass.sys", "usbport.sys", "usbhub.sys", "intelppm.sys",
    "e1i65x64.sys", "rdpdr.sys", "termdd.sys", "win32k.sys", "dxgkrnl.sys", "mrxsmb.sys", "mrxsmb20.sys", "luafv.sys",
    "Wdf01000.sys", "crashdmp.sys", "dump_diskdump.sys", "lltdio.sys", "rspndr.sys", "ndisuio.sys", "mpsdrv.sys",
    "tcpipreg.sys", "acmeflt.sys", "vendorav.sys",
)  # fmt: skip
_WITHOUT_HEADERS = frozenset({"crashdmp.sys", "luafv.sys"})  # paged out, as headers of drivers often are
_USUAL_IMPORTS = ("ExAllocatePoolWithTag", "ExFreePoolWithTag")
_TAGS: dict[str, tuple[str, ...]] = {
    "leaky.sys": ("Leak", "Lkc1"),
    "pagehog.sys": ("HogP",),
    "oldcard.sys": ("OldC",),
    "churner.sys": ("Chrn",),
    "reqsrv.sys": ("Rqst",),
    "keeper.sys": ("Kpr2",),
    "acmeflt.sys": ("AcmF", "AcmN"),
    "vendorav.sys": ("VnAv",),
}
"""What the code of drivers that are not Windows' own allocates with. Drivers that are not named have one like their
name, of four small letters, as no tag of a simulated table is."""
_LETTERS = {"vendorav.sys": ("Leak", "HogP", "Even", "CM31")}
"""Tags of others that stand in a driver's data: a scanner knows them, and allocates nothing with them."""
_SERVICES = (
    "svchost.exe", "svchost.exe", "spoolsv.exe", "svchost.exe", "lsm.exe", "taskhost.exe", "dwm.exe", "SearchIndexer.e",
    "vmtoolsd.exe", "sqlservr.exe", "w3wp.exe", "MsMpEng.exe",
)  # fmt: skip
_MINUTE = timedelta(minutes=1)


def strings_of(name: str, company: str, product: str, version: str) -> dict[str, str]:
    """The strings of a version resource."""
    return {
        "CompanyName": company,
        "FileDescription": f"{product} ({name})",
        "FileVersion": version,
        "InternalName": name,
        "LegalCopyright": f"Copyright {company}",
        "OriginalFilename": name,
        "ProductName": product,
        "ProductVersion": version,
    }


def guid(random: Random) -> str:
    """32 hexadecimal digits."""
    return f"{random.getrandbits(128):032X}"


def usual_modules(
    windows: SimulatedWindows, random: Random, extra: Mapping[str, tuple[str, ...]]
) -> tuple[LoadedModule, ...]:
    """The kernel first, then its drivers, at the end those of ``extra`` (name to the routines that it imports)."""
    root = "\\SystemRoot\\system32\\" if windows.build >= 6000 else "\\WINDOWS\\system32\\"
    kernel = _KERNEL_NAMES[windows.mode]
    version = f"{windows.major}.{windows.minor}.{windows.build}.{windows.revision}"
    found = [
        LoadedModule(
            name="ntoskrnl.exe",
            path=root + kernel,
            size=0,
            timestamp=random.randrange(0x3B7D_0000, 0x6180_0000),
            checksum=random.randrange(0x10_0000, 0xFF_0000),
            pdb=PdbId(_KERNEL_PDBS[windows.mode], guid(random), 1),
            version=strings_of(kernel, "Microsoft Corporation", "Microsoft Windows Operating System", version),
        )
    ]
    for number, name in enumerate((*_DRIVERS, *extra)):
        own = name in extra or name in ("acmeflt.sys", "vendorav.sys")
        folder = root if name.endswith(".dll") or name == "win32k.sys" else "\\SystemRoot\\System32\\drivers\\"
        strings: dict[str, str] = {}
        if own:
            strings = strings_of(name, "Acme Storage Inc.", "Acme Filter", f"3.2.{number}.17")
        elif number % 5 == 0:
            strings = strings_of(name, "Microsoft Corporation", "Microsoft Windows Operating System", version)
        found.append(
            LoadedModule(
                name=name,
                path=folder + name,
                size=random.randrange(6, 300) * PAGE,
                timestamp=random.randrange(0x3B7D_0000, 0x6180_0000),
                checksum=random.randrange(0x1000, 0x40_0000),
                pdb=PdbId(name.rsplit(".", 1)[0] + ".pdb", guid(random), random.randrange(1, 12))
                if number % 3
                else None,
                version=strings,
                imports=extra.get(name, _USUAL_IMPORTS if name.endswith((".sys", ".SYS")) else ()),
                present=name not in _WITHOUT_HEADERS,
                tags=_TAGS.get(name, (name[:4].lower().replace(".", "_"),) if name.endswith((".sys", ".SYS")) else ()),
                letters=_LETTERS.get(name, ()),
            )
        )
    return tuple(found)


def usual_unloaded(random: Random, booted_at: datetime) -> tuple[UnloadedModule, ...]:
    """Drivers that were unloaded, oldest first; one of them again and again."""
    names = ("dam.sys", "WdBoot.sys", "hwpolicy.sys", "cdrom.sys", "usbstor.sys", "acmetmp.sys", "acmetmp.sys")
    return tuple(
        UnloadedModule(
            name=name,
            size=random.randrange(4, 40) * PAGE,
            time=booted_at + (number + 1) * _MINUTE + timedelta(microseconds=random.randrange(59_000_000)),
        )
        for number, name in enumerate(names)
    )


def usual_resources(random: Random, count: int = 40) -> tuple[Resource, ...]:
    """The registry lock, that of the module list, and resources in pool, some of them held."""
    found = [
        Resource(
            symbol="CmpRegistryLock",
            exclusive=False,
            owners=(LockOwner(1),),
            contention=random.randrange(100, 5000),
            shared_waiters=0,
            exclusive_waiters=0,
            table_size=4,
        ),
        Resource(
            symbol="PsLoadedModuleResource",
            exclusive=False,
            owners=(),
            contention=random.randrange(50),
            shared_waiters=0,
            exclusive_waiters=0,
        ),
    ]
    for number in range(count):
        exclusive = number % 9 == 4
        owners = (LockOwner(1),) if exclusive else tuple(LockOwner(1 + i % 2) for i in range(number % 13 == 5 and 3))
        found.append(
            Resource(
                symbol=None,
                exclusive=exclusive,
                owners=owners,
                contention=random.randrange(0, 200) if number % 4 == 0 else 0,
                shared_waiters=3 if number == 5 else 0,
                exclusive_waiters=0,
                table_size=4 if len(owners) > 1 else 0,
            )
        )
    return tuple(found)


def usual_processes(random: Random, sessions: tuple[int, ...], count: int) -> tuple[Process, ...]:
    """System, smss, and of each session its usual processes; services in session 0."""
    found = [Process(pid=4, parent=0, name="System", session=None, handles=random.randrange(800, 4000))]
    pid = 200

    def add(name: str, session: int | None, parent: int) -> int:
        nonlocal pid
        pid += 4 * random.randrange(1, 60)
        found.append(Process(pid=pid, parent=parent, name=name, session=session, handles=random.randrange(40, 2500)))
        return pid

    manager = add("smss.exe", None, 4)
    for session in sessions:
        add("csrss.exe", session, manager)
        parent = add("winlogon.exe" if session else "wininit.exe", session, manager)
        if session:
            add("explorer.exe", session, parent)
        else:
            services = add("services.exe", session, parent)
            add("lsass.exe", session, parent)
    number = 0
    while len(found) < count:
        add(_SERVICES[number % len(_SERVICES)], sessions[0] if sessions else None, services if sessions else 4)
        number += 1
    return tuple(found)


def usual_page_files(windows: SimulatedWindows, pages: int) -> tuple[PageFile, ...]:
    """One page file of the size of the memory; since 8 the swap file too, since 10 the one of compressed memory."""
    files = [
        PageFile(
            name="\\??\\C:\\pagefile.sys",
            pages=pages,
            minimum_pages=pages,
            maximum_pages=3 * pages,
            free_pages=pages - pages // 10,
        )
    ]
    if windows.build >= 9200:
        swap = 4096
        files.append(
            PageFile(
                name="\\??\\C:\\swapfile.sys",
                pages=swap,
                minimum_pages=swap,
                maximum_pages=pages + swap,
                free_pages=swap - 17,
            )
        )
    if windows.build >= 10240:
        files.append(
            PageFile(name="", pages=2 * pages, minimum_pages=2 * pages, maximum_pages=2 * pages, free_pages=pages + 99)
        )
    return tuple(files)

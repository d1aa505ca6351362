"""Loaded and unloaded drivers of a dump."""

from collections.abc import Iterator
from datetime import UTC, datetime

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.kernel.crash_dump.triage import TriageDump
from poolsleuth.kernel.image import read_image
from poolsleuth.kernel.image_version import read_version
from poolsleuth.kernel.modules import LoadedModule, read_modules
from poolsleuth.kernel.target import Kernel
from poolsleuth.kernel.unloaded_modules import read_unloaded_modules
from poolsleuth.model.facts import Fact
from poolsleuth.model.modules import Module, ModuleList, UnloadedModule, UnloadedModules

_FIRST_BUILD_TIME = 631_152_000  # 1990-01-01: a "time" of a driver before that is a hash of the build
_FIRST_HASHED_BUILD = 10240


def kernel_drivers(kernel: Kernel, context: DumpContext) -> Iterator[Fact]:
    """The modules and unloaded modules that the kernel's own lists hold."""
    loaded = read_modules(kernel)
    if loaded.says is not None:
        context.problem(f"loaded modules: {loaded.says}", loaded.address)
    modules = tuple(_loaded(kernel, module, context) for module in loaded.modules if module.name is not None)
    unnamed = len(loaded.modules) - len(modules)
    if unnamed:
        context.problem(f"loaded modules: the names of {unnamed:,} are not in this dump", loaded.address)
    if modules:
        # A driver without a name may be any: none can be said to be absent
        yield ModuleList(**context.base(loaded.address), modules=modules, complete=loaded.whole and not unnamed)
    gone = read_unloaded_modules(kernel)
    if gone.says is not None:
        context.problem(f"unloaded modules: {gone.says}", gone.address)
    unloaded = tuple(
        UnloadedModule(driver.name, driver.start, driver.end, context.where(driver.address), driver.at)
        for driver in gone.drivers
        if driver.name is not None
    )
    if unloaded:
        yield UnloadedModules(**context.base(gone.address), modules=unloaded)


def _loaded(kernel: Kernel, module: LoadedModule, context: DumpContext) -> Module:
    image = read_image(kernel.memory, module.base)
    version = None if image is None else read_version(kernel.memory, image)
    return Module(
        name=_module_name(module.name, module.base, kernel.base),
        start=module.base,
        end=module.end,
        where=context.where(module.address),
        image=module.name,
        path=module.path,
        company=None if version is None else version.company,
        version=None if version is None else version.file_version or version.fixed,
        timestamp=_timestamp(module.time_stamp, kernel.build, context.captured_at),
    )


def triage_drivers(triage: TriageDump, build: int | None, context: DumpContext) -> Iterator[Fact]:
    """The drivers that a triage dump lists."""
    if triage.drivers:
        yield ModuleList(
            **context.base(offset=triage.drivers_offset),
            modules=tuple(
                Module(
                    name=_module_name(driver.file_name, driver.base, triage.kernel_base),
                    start=driver.base,
                    end=driver.base + driver.size,
                    where=context.where(offset=driver.offset),
                    image=driver.file_name,
                    path=driver.path,
                    timestamp=_timestamp(driver.timestamp, build, context.captured_at),
                )
                for driver in triage.drivers
                if driver.file_name is not None
            ),
            complete=triage.drivers_complete,
        )
    if triage.unloaded:
        yield UnloadedModules(
            **context.base(offset=triage.unloaded_offset),
            modules=tuple(
                UnloadedModule(each.name, each.start, each.end, context.where(offset=each.offset))
                for each in triage.unloaded
            ),
        )


def _module_name(file_name: str | None, base: int, kernel_base: int | None) -> str:
    """Debuggers call the kernel "nt", whatever its file is called."""
    if base == kernel_base:
        return "nt"
    return (file_name or "").rpartition(".")[0] or file_name or ""


def _timestamp(raw: int | None, build: int | None, captured_at: datetime | None) -> str | None:
    """The time stamp of the build with its raw value; Windows 10 and later keep a hash there in their own drivers."""
    if not raw:
        return None
    latest = captured_at.timestamp() if captured_at is not None else 1 << 32
    if not _FIRST_BUILD_TIME <= raw <= latest:
        return f"{raw:08X} (a hash of the build, not a time)"
    time = f"{datetime.fromtimestamp(raw, UTC):%Y-%m-%d %H:%M:%S} UTC"
    hashed = build is not None and build >= _FIRST_HASHED_BUILD
    return f"{raw:08X} ({time}, or a hash of the build)" if hashed else f"{time} ({raw:08X})"

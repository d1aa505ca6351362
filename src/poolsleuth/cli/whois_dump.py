"""The loaded modules of a crash dump, for ``poolsleuth whois``: their memory is searched as driver files are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from poolsleuth.drivers.scope import Scope
from poolsleuth.drivers.summary import KEPT_IMPORTS
from poolsleuth.drivers.survey import Looked, Question, look_in_memory
from poolsleuth.drivers.survey import Progress as ProgressCall
from poolsleuth.evidence.dump.module_memory import function_addresses, module_memories
from poolsleuth.evidence.dump.opening import Progress as OpeningProgress
from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.evidence.recognise import Content, content_of
from poolsleuth.evidence.source import MAX_UNPACKED_DUMP, SAMPLE_BYTES, open_source, random_access, sources
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.memory_image.image import image_kind
from poolsleuth.kernel.modules import read_modules
from poolsleuth.kernel.target import Kernel
from poolsleuth.kernel.unloaded_modules import read_unloaded_modules
from poolsleuth.model.errors import InputError

_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")  # gzip, zstd, zip


@dataclass(frozen=True, slots=True)
class SearchedDump:
    """A dump: what each module says, and how far the dump could be searched."""

    looked: tuple[Looked, ...]
    scope: Scope


def is_dump(path: Path) -> bool:
    """Whether a file is a crash dump or an image of memory, packed or not, by its content. Nothing is raised."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(SAMPLE_BYTES)
        if head.startswith(_PACKED):
            source = sources(str(path))[0]
            with open_source(source) as stream:
                return _is_dump(stream.peek(SAMPLE_BYTES), None)
        return _is_dump(head, path.stat().st_size)
    except (OSError, InputError):
        return False


def _is_dump(head: bytes, size: int | None) -> bool:
    try:
        return content_of(head) in (Content.CRASH_DUMP, Content.MEMORY_IMAGE)
    except InputError:  # binary data of no known kind
        return image_kind(head, size) is not None


def search_dump(
    path: Path,
    question: Question,
    options: DumpOptions,
    opening: OpeningProgress | None = None,
    progress: ProgressCall | None = None,
) -> SearchedDump:
    """Look at every loaded module. Raises InputError when the dump holds no kernel, or no list of modules."""
    with _opened(path) as file, open_content(file) as content:
        found = open_kernel(content, options, opening)
        if found.kernel is None:
            raise InputError(f"{path}: {found.says or 'no kernel can be found in it'}")
        if found.dump is not None and found.dump.triage is not None:
            raise InputError(
                f"{path}: a triage dump holds the names of drivers and not their code: give the folder of the drivers"
            )
        notes = (*(flaw.says for flaw in found.flaws[:3]), *found.symbols_tried)
        return _search(path.name, found.kernel, question, notes, progress)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    source = sources(str(path))[0]
    with open_source(source) as stream, random_access(source, stream, MAX_UNPACKED_DUMP) as file:
        yield file


def _search(
    dump: str, kernel: Kernel, question: Question, notes: Sequence[str], progress: ProgressCall | None
) -> SearchedDump:
    loaded = read_modules(kernel)
    if not loaded.modules:
        raise InputError(f"{dump}: {loaded.says or 'its list of loaded modules is empty'}")
    functions = function_addresses(kernel, loaded.modules, sorted(KEPT_IMPORTS))
    looked: list[Looked] = []
    unseen: list[str] = []
    for number, memory in enumerate(module_memories(kernel, loaded.modules, with_kernel=True), start=1):
        module = memory.module
        name = module.name or f"the module at 0x{module.base:x}"
        if progress is not None:
            progress(number, len(loaded.modules))
        if not memory.pages_read:
            unseen.append(name)
            continue
        where = f"{dump} at 0x{module.base:x}"
        one = look_in_memory(
            memory.read,
            module.base,
            len(memory.data),
            functions,
            question,
            name,
            machine=kernel.architecture,
            loaded=where,
        )
        if one.problem is not None:
            unseen.append(name)
            continue
        looked.append(one)
    gone = Counter(driver.name for driver in read_unloaded_modules(kernel).drivers if driver.name is not None)
    names = frozenset(module.name.lower() for module in loaded.modules if module.name is not None)
    scope = Scope(
        dump=dump,
        loaded=names,
        whole=loaded.whole and all(module.name for module in loaded.modules),
        unseen=tuple(unseen),
        unloaded=tuple(sorted(gone.items())),
        notes=tuple(notes),
    )
    return SearchedDump(tuple(looked), scope)

"""An input of ``poolsleuth map``: a crash dump, or a debugger's log with a map in it."""

from poolsleuth.evidence.debugger_log.bounded import BoundedFacts
from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.evidence.dump.opening import Progress
from poolsleuth.evidence.dump.options import AS_FOUND, DumpOptions
from poolsleuth.evidence.dump.pool_picture import read_dump_picture
from poolsleuth.evidence.pool_picture import picture_of_log
from poolsleuth.evidence.recognise import REFUSALS, Content, content_of
from poolsleuth.evidence.source import (
    MAX_UNPACKED_DUMP,
    SAMPLE_BYTES,
    EvidenceStream,
    Source,
    open_source,
    random_access,
    sources,
)
from poolsleuth.kernel.memory_image.image import image_kind
from poolsleuth.model.errors import InputError
from poolsleuth.model.pool import PoolMap
from poolsleuth.model.pool_picture import PoolPicture
from poolsleuth.model.system import TargetInfo

_NO_MAP = "it holds no map of a pool: give a crash dump, or a debugger log with the output of `!xpool -map`"


def read_picture(
    path: str,
    options: DumpOptions = AS_FOUND,
    *,
    tag: str | None = None,
    keep_blocks: bool = False,
    progress: Progress | None = None,
) -> PoolPicture:
    """The map of an input, which may be packed. Raises InputError when there is none in it."""
    found = sources(path)
    if len(found) != 1:
        raise InputError(f"it holds {len(found)} files: unpack it, and give the one whose map you want")
    source = found[0]
    with open_source(source) as stream:
        sample = stream.peek(SAMPLE_BYTES)
        if not sample:
            raise InputError(stream.stopped or "it is empty")
        content = _content_of(sample, stream, source)
        if content in REFUSALS:
            raise InputError(REFUSALS[content])
        if content in (Content.CRASH_DUMP, Content.MEMORY_IMAGE):
            with random_access(source, stream, MAX_UNPACKED_DUMP) as file:
                key = None if tag is None else int.from_bytes(tag.encode("latin-1", "replace").ljust(4)[:4], "little")
                return read_dump_picture(
                    file, source.name, options, tag=key, tag_text=tag, keep_blocks=keep_blocks, progress=progress
                )
        if content is not Content.TEXT:
            raise InputError(_NO_MAP)
        return _of_log(stream, source, progress)


def _content_of(sample: bytes, stream: EvidenceStream, source: Source) -> Content:
    try:
        return content_of(sample)
    except InputError:
        if not stream.packed and image_kind(sample, source.size) is None:
            raise
        return Content.MEMORY_IMAGE


def _of_log(stream: EvidenceStream, source: Source, progress: Progress | None) -> PoolPicture:
    def advance(_done: int) -> None:
        if progress is not None:
            progress(source.name, stream.position, None if stream.packed else source.size)

    kept = BoundedFacts()
    for fact in LogReader(0, advance).read(stream):
        if isinstance(fact, PoolMap | TargetInfo):
            kept.add(fact)
    return picture_of_log(kept.facts(), source.name)

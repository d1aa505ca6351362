"""Where machine code meets evidence: dumps are given a reader of code, and drivers that were given are searched."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from poolsleuth.drivers.tag_functions import TAG_FUNCTIONS
from poolsleuth.evidence.dump.options import CodeReader
from poolsleuth.evidence.dump.options import Read as ReadMemory
from poolsleuth.model.facts import Problem, Where
from poolsleuth.model.tag_code import DriverFilesSearch, ImageCode, TagUser

MAX_TAGS = 8  # that driver files are searched for: a report accuses one to three


def _read_code(
    read: ReadMemory, base: int, size: int, machine: str, functions: Mapping[int, str], tags: Sequence[str]
) -> ImageCode:
    # Loading the disassembler takes longer than most logs do
    from poolsleuth.drivers.in_memory import code_of_image  # noqa: PLC0415

    return code_of_image(read, base, size, machine, functions, tags)


CODE_READER = CodeReader(frozenset(TAG_FUNCTIONS), _read_code)
"""Reads the code of modules in dumps."""


def code_of_drivers(
    drivers: Sequence[tuple[int, Path]],
    tags: Sequence[str],
    progress: Callable[[str, int, int | None], None] | None,
    problems: list[Problem],
) -> list[TagUser | DriverFilesSearch]:
    """What the drivers that were given say of some tags: one fact for each use, and one for each input."""
    from poolsleuth.drivers.in_memory import code_of_files  # noqa: PLC0415

    tags = tuple(dict.fromkeys(tags))[:MAX_TAGS]
    found: list[TagUser | DriverFilesSearch] = []
    for index, path in drivers:
        where, count = Where(index), 0

        def done(files: int, total: int, name: str = str(path)) -> None:
            if progress is not None:
                progress(name, files, total)

        for file in code_of_files([path], tags, done):
            if file.problem is not None:
                problems.append(Problem(file.problem, where))
            if file.code is None:
                continue
            count += 1
            for use in file.code.uses:
                stamp = file.code.timestamp
                found.append(TagUser(where=where, driver=Path(file.name).name, base=None, timestamp=stamp, use=use))
        if not count:
            problems.append(Problem(f"{path}: no driver is in it", where))
        found.append(DriverFilesSearch(where=where, tags=tuple(tags), drivers=count))
    return found

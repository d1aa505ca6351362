"""Finds the symbol table of a kernel among all sources that the user has, and says where it looked.

The order: what the symbol path names on this machine, the user's own tables, the tables that come with the package, and
only then the servers that the symbol path names. Every source is checked against the identity of the kernel, so that
each gives the same numbers: asking a server last costs nothing, and spares most users the download.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from poolsleuth.kernel.symbols.own_tables import OwnTable, cache_folder, own_folder, own_table
from poolsleuth.kernel.symbols.search_path import Chain, Place, SearchPath, parse_search_path
from poolsleuth.kernel.symbols.store import (
    Looked,
    keep_copy,
    look_in_folder,
    look_in_store,
    name_and_key,
    packed_sentence,
    store_file,
)
from poolsleuth.kernel.symbols.symbol_file import check_pdb, read_symbol_file
from poolsleuth.model.errors import InputError
from poolsleuth.windows.bundled_tables import bundled_table
from poolsleuth.windows.kernel_table import KernelTable, PdbId

SYMBOL_PATH = "_NT_SYMBOL_PATH"
MAX_SAID = 60  # sentences on what was tried: a path may name many folders with many files of other kernels

Progress = Callable[[str, int, int | None], None]
"""Called during a download: its name, bytes so far, bytes in all (None when not known)."""


@dataclass(frozen=True, slots=True)
class SymbolSources:
    """Where symbols may come from.

    ``own`` is the folder of the user's own tables, ``cache`` the default store; None: there is none. ``offline``: no
    server is asked, even when the path names one.
    """

    path: SearchPath = field(default_factory=SearchPath)
    own: Path | None = None
    cache: Path | None = None
    bundled: bool = True
    offline: bool = False
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The table of a kernel, None when no source has it, and a sentence for each thing that was tried in vain."""

    table: KernelTable | None
    tried: tuple[str, ...] = ()


def symbol_sources(
    symbols: Iterable[str] = (),
    *,
    offline: bool = False,
    progress: Progress | None = None,
    environment: Mapping[str, str] | None = None,
) -> SymbolSources:
    """The sources of a run: the values of ``--symbols``, else ``_NT_SYMBOL_PATH``, and the folders of this user."""
    variables = os.environ if environment is None else environment
    given = [text for text in symbols if text.strip()]
    return SymbolSources(
        path=parse_search_path(";".join(given) if given else variables.get(SYMBOL_PATH, "")),
        own=own_folder(variables),
        cache=cache_folder(),
        offline=offline,
        progress=progress,
    )


def find_table(pdb: PdbId, sources: SymbolSources) -> Found:
    """The table of the kernel whose PDB this is. Bad sources never raise: they stand in ``tried``."""
    search = _Search(pdb, sources)
    table = search.run()
    said = search.tried
    if len(said) > MAX_SAID:
        said = [*said[:MAX_SAID], f"and {len(said) - MAX_SAID} more places"]
    return Found(table, tuple(said))


class _Search:
    def __init__(self, pdb: PdbId, sources: SymbolSources) -> None:
        self._pdb, self._sources = pdb, sources
        self.tried: list[str] = list(sources.path.problems)

    def run(self) -> KernelTable | None:
        if name_and_key(self._pdb) is None:
            self.tried.append("the kernel names no PDB that symbols could be looked up by")
            return None
        own = self._own()
        return (
            self._on_this_machine()
            or (own.table if own is not None and own.current else None)
            or self._bundled()
            or self._from_servers()
            or (own.table if own is not None else None)
        )

    def _on_this_machine(self) -> KernelTable | None:
        for entry in self._sources.path.entries:
            table = self._in_place(entry.path) if isinstance(entry, Place) else self._in_chain(entry)
            if table is not None:
                return table
        return None

    def _in_place(self, path: Path) -> KernelTable | None:
        try:
            if path.is_dir():
                found = self._first(look_in_folder(path, self._pdb), path)
                return None if found is None else found[0]
            there = path.exists()
        except (OSError, ValueError):
            there = False
        if not there:
            self.tried.append(f"{path} does not exist")
            return None
        return self._read(path)

    def _in_chain(self, chain: Chain) -> KernelTable | None:
        before: list[Path] = []
        for folder in self._folders(chain):
            looked = look_in_store(folder, self._pdb)
            found = self._first(looked, folder)
            if found is not None:
                self._copy(found[1], before)
                return found[0]
            before.append(folder)
        return None

    def _folders(self, chain: Chain) -> list[Path]:
        stores = [self._sources.cache if store is None else store for store in chain.stores]
        return list(dict.fromkeys(store for store in stores if isinstance(store, Path)))

    def _first(self, looked: Looked, place: Path) -> tuple[KernelTable, Path] | None:
        for path in looked.files:
            table = self._read(path)
            if table is not None:
                return table, path
        self.tried += looked.says
        if not looked.files and not looked.says:
            self.tried.append(f"{place} has no symbols of this kernel")
        return None

    def _read(self, path: Path) -> KernelTable | None:
        try:
            return read_symbol_file(path, self._pdb)
        except InputError as error:
            self.tried.append(str(error))
            return None

    def _own(self) -> OwnTable | None:
        if self._sources.own is None:
            return None
        try:
            return own_table(self._sources.own, self._pdb)
        except InputError as error:
            self.tried.append(str(error))
            return None

    def _bundled(self) -> KernelTable | None:
        if not self._sources.bundled:
            return None
        try:
            table = bundled_table(self._pdb)
        except InputError as error:
            self.tried.append(str(error))
            return None
        if table is None:
            self.tried.append("this kernel is not among those whose tables come with poolsleuth")
        return table

    def _from_servers(self) -> KernelTable | None:
        chains = [entry for entry in self._sources.path.entries if isinstance(entry, Chain) and entry.asks_a_server]
        for chain in chains:
            (url,) = [store for store in chain.stores if isinstance(store, str)]
            try:
                table = self._from_server(url, self._folders(chain))
            except InputError as error:
                self.tried.append(str(error))
                continue
            if table is not None:
                return table
        if not chains:
            self.tried.append("no symbol server was asked: the symbol path names none")
        return None

    def _from_server(self, url: str, folders: list[Path]) -> KernelTable | None:
        # Loaded here because it takes a tenth of a second, and most runs ask no server
        from poolsleuth.kernel.symbols.download import download, is_there  # noqa: PLC0415
        from poolsleuth.kernel.symbols.http import shown_url  # noqa: PLC0415

        names = name_and_key(self._pdb)
        assert names is not None  # run() has looked
        name, key = names
        if self._sources.offline:
            self.tried.append(f"{shown_url(url)} was not asked: offline")
            return None
        progress = self._sources.progress
        place = f"{url}/{quote(name)}/{key}/{quote(name)}"
        target, before = self._keeper(folders)
        try:
            there = download(
                place,
                target,
                check=lambda path: check_pdb(path, self._pdb, shown_url(url)),
                progress=None if progress is None else lambda done, total: progress(name, done, total),
            )
        finally:
            _remove_empty(target)
        if there:
            self._copy(target, before)
            return self._read(target)
        packed = f"{place[:-1]}_"
        if is_there(packed):
            self.tried.append(packed_sentence(shown_url(packed), name))
        else:
            self.tried.append(f"{shown_url(url)} does not have {name} {key}")
        return None

    def _keeper(self, folders: list[Path]) -> tuple[Path, list[Path]]:
        """Where a download is kept: in the folder nearest to the server that can be written, copied to those before."""
        waiting = [*folders]
        while waiting:
            folder = waiting.pop()
            target = store_file(folder, self._pdb)
            if target is not None and _writable(target.parent):
                return target, waiting
            self.tried.append(f"nothing can be kept in {folder}: it cannot be written")
        raise InputError("nothing was downloaded: the symbol path names no folder that it could be kept in")

    def _copy(self, path: Path, folders: list[Path]) -> None:
        for folder in folders:
            target = store_file(folder, self._pdb)
            if target is None:
                continue
            try:
                keep_copy(path, target)
            except OSError as error:
                self.tried.append(f"no copy could be kept in {folder}: {error.strerror or error}")


def _remove_empty(target: Path) -> None:
    """The folders that were made for a file which did not come."""
    with suppress(OSError):
        target.parent.rmdir()
        target.parent.parent.rmdir()


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)

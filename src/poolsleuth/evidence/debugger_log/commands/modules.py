"""``lm`` with its options: loaded and unloaded modules."""

import re
from collections.abc import Iterable

from poolsleuth.evidence.debugger_log.output import (
    ADDRESS,
    ELISION,
    Block,
    BufferedOutput,
    Context,
    Output,
    address_bits,
)
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.modules import Module, ModuleList, UnloadedModule, UnloadedModules

MAX_MODULES = 10_000  # of one output: a machine with all its processes' modules has fewer
MAX_MODULE_BYTES = 1 << 30  # a row with a larger range is no module
MAX_NAME = 64

_HEADER = r"start\s+end\s+module\s+name"
_UNLOADED = r"Unloaded\s+modules\s*:"
_STATUS = r"\((?:deferred|[A-Za-z ]{0,24}symbols)\)"
_FIRST_OF_UNLOADED = re.compile(rf"^[ #*]*+{_UNLOADED}", re.MULTILINE | re.IGNORECASE)
# The name may be wrapped into the next line
_ROW = re.compile(
    rf"^[ #*]*+(?P<start>{ADDRESS})[ ]{{1,12}}(?P<end>{ADDRESS})(?:[ ]{{1,12}}|[ ]{{0,12}}\x1f?\n[ ]{{0,40}})"
    r"(?P<rest>[^\s][^\n]{0,600})",
    re.MULTILINE,
)
_STATUS_WORDS = re.compile(_STATUS)
_FLAGS = re.compile(r"(?:[ ]+[TMCPSL#])+$")
_FILE = re.compile(r"\S{1,200}\.(?:sys|exe|dll|drv|ocx|efi|mui|cpl)\b", re.IGNORECASE)
_TIMESTAMP = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}\s[^\n(]{1,40}\([0-9a-fA-F]{8}\)|[0-9a-fA-F]{8} \(This is a reprod)"
)
_TAIL = re.compile(r"[ ]+(?:Timestamp:|Checksum:|ImageSize:)")
# What people write behind a name: "MyAVDrv.sys   <- !!"
_REMARK = re.compile(r"[ ]{2}|[ ]+(?:<|//|#|!|\(|--|==|\u2190|\u00df)")
_DETAILS = {
    name: re.compile(rf"^[ #*>]*+{label}[ ]*:[ ]*(?P<value>\S[^\n]{{0,500}})", re.MULTILINE | re.IGNORECASE)
    for name, label in {
        "path": r"Image\s+path",
        "image": r"Image\s+name",
        "company": "CompanyName",
        "version": r"File\s+version",
        "timestamp": "Timestamp",
    }.items()
}
# Options that change what is printed about a module, not which modules are printed
_PLAIN = re.compile(r"lm[Dkvtnfpiow12#: ]*")
_KERNEL = ("nt", "ntoskrnl", "ntkrnlmp", "ntkrnlpa", "ntkrpamp")


class _Modules(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """The loaded modules, then the unloaded ones."""
        if block.context.user_mode:
            return
        unloaded = _FIRST_OF_UNLOADED.search(block.text)
        end = unloaded.start() if unloaded else len(block.text)
        yield from self._loaded(block, end)
        if unloaded:
            yield from self._unloaded(block, unloaded)

    def _rows(self, block: Block, start: int, end: int) -> list[re.Match[str]]:
        rows: list[re.Match[str]] = []
        for row in _ROW.finditer(block.text, start, end):
            if len(rows) >= MAX_MODULES:
                self.context.problems.append(
                    Problem(f"a list of more than {MAX_MODULES} modules is cut", block.where(row.start()))
                )
                break
            if 0 < int(row.group("end"), 16) - int(row.group("start"), 16) <= MAX_MODULE_BYTES:
                rows.append(row)
        return rows

    def _loaded(self, block: Block, end: int) -> Iterable[Fact]:
        rows = self._rows(block, 0, end)
        modules = []
        for row, following in zip(rows, [*rows[1:], None], strict=False):
            module = _module(block, row, following.start() if following else end)
            if module is not None:
                modules.append(module)
        if modules:
            yield ModuleList(
                where=modules[0].where,
                live=block.context.live,
                command=block.context.command,
                address_bits=address_bits(rows[0].group("start")),
                modules=tuple(modules),
                complete=_is_complete(block, end, modules),
            )

    def _unloaded(self, block: Block, head: re.Match[str]) -> Iterable[Fact]:
        rows = self._rows(block, head.end(), len(block.text))
        modules = []
        for row in rows:
            name = _REMARK.split(_TAIL.split(row.group("rest"))[0].strip(" \x1f"))[0]
            file = _FILE.match(name)
            name = file.group() if file else name
            if name and len(name) <= MAX_NAME and "!" not in name:
                modules.append(
                    UnloadedModule(
                        name=name,
                        start=int(row.group("start"), 16),
                        end=int(row.group("end"), 16),
                        where=block.where(row.start()),
                    )
                )
        if modules:
            yield UnloadedModules(
                where=block.where(head.start()),
                live=block.context.live,
                command=block.context.command,
                address_bits=address_bits(rows[0].group("start")),
                modules=tuple(modules),
            )


def _module(block: Block, row: re.Match[str], end: int) -> Module | None:
    name, tail = _name(row.group("rest").strip(" \x1f"))
    if not name or len(name) > MAX_NAME or "!" in name:
        return None
    details: dict[str, str | None] = {}
    for field, label in _DETAILS.items():
        found = label.search(block.text, row.end(), end)
        details[field] = found.group("value").strip(" \x1f") if found else None
    if (details["timestamp"] or "").startswith("unavailable"):
        details["timestamp"] = None
    file = _FILE.search(tail)
    if file and ".pdb" not in tail.lower():
        printed = file.group()
        if "\\" in printed:
            details["path"] = details["path"] or printed
        details["image"] = details["image"] or printed.rsplit("\\", 1)[-1]
    time = _TIMESTAMP.search(tail)
    if time and details["timestamp"] is None:
        details["timestamp"] = time.group()
    return Module(
        name=name,
        start=int(row.group("start"), 16),
        end=int(row.group("end"), 16),
        where=block.where(row.start()),
        **details,
    )


def _name(rest: str) -> tuple[str, str]:
    """Name and what follows it, without flags and symbol status. A name may hold blanks."""
    status = _STATUS_WORDS.search(rest)
    if status:
        # What follows the status is the symbol file, not the image
        return _FLAGS.sub("", rest[: status.start()].rstrip()).strip(), ""
    name, _, tail = rest.partition("  ")
    if tail:
        return _FLAGS.sub("", name.strip()).strip(), tail
    first, _, others = rest.partition(" ")
    if "\\" in others or _FILE.search(others) or _TIMESTAMP.search(others):
        return first, others  # the padding was lost
    return _FLAGS.sub("", rest).strip(), ""


def _is_complete(block: Block, end: int, modules: list[Module]) -> bool:
    command = (block.context.command or "").split(";")[0].strip()
    return (
        _PLAIN.fullmatch(command) is not None
        and re.search(_HEADER, block.text) is not None
        and ELISION.search(block.text, 0, end) is None
        and any(module.name.lower() in _KERNEL for module in modules)
    )


class _Reader:
    name = "lm"
    banners = (_HEADER,)
    rows = (
        _UNLOADED,
        rf"(?:{ADDRESS})[ ]{{1,12}}(?:{ADDRESS})[ ]{{1,12}}[^\s!()][^\n!()]{{0,80}}{_STATUS}",
    )

    def open(self, context: Context) -> Output:
        """Begin a list of modules."""
        return _Modules(context)


READER = _Reader()

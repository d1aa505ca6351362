"""What a driver says, in few numbers and texts, that can be kept."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from poolsleuth.drivers.image import DriverFile
from poolsleuth.drivers.tag_functions import CONTIGUOUS, DMA, FRAMEWORK, TAG_FUNCTIONS, UNTAGGED, Use, bare_name
from poolsleuth.drivers.tag_scan import Scan, TagUse, scan_file_image
from poolsleuth.drivers.version import Version

FORMAT = "poolsleuth.driver/1"
"""Of a summary that was kept. It grows with every change of what a scan finds."""

KEPT_IMPORTS = frozenset(TAG_FUNCTIONS) | UNTAGGED | CONTIGUOUS | DMA | FRAMEWORK
MAX_USES = 20_000  # of one image; the largest drivers have some thousand calls with a tag


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverSummary:
    """A driver and its calls with tags. ``imports`` are only those that matter here, by name without decoration.

    ``calls`` counts the calls of each of them; ``unread`` are calls whose tag is no constant that was found. The other
    fields are those of ``DriverFile``.
    """

    machine: str
    size: int
    timestamp: int
    pdb: str | None
    packed: bool
    version: Version | None
    signer: str | None
    imports: tuple[str, ...]
    uses: tuple[TagUse, ...]
    calls: Mapping[str, int]
    unread: int


def summarise(driver: DriverFile, scan: Scan | None = None) -> DriverSummary:
    """The summary of a driver's file; its calls are scanned unless that was done."""
    scan = scan_file_image(driver.image) if scan is None else scan
    names = {bare_name(found.name) for found in driver.imports}
    return DriverSummary(
        machine=driver.image.machine,
        size=driver.size,
        timestamp=driver.timestamp,
        pdb=driver.pdb,
        packed=driver.packed,
        version=driver.version,
        signer=driver.signer,
        imports=tuple(sorted(names & KEPT_IMPORTS)),
        uses=scan.uses[:MAX_USES],
        calls=dict(scan.calls),
        unread=scan.unread,
    )


def summary_document(summary: DriverSummary) -> dict[str, object]:
    """The summary as strict JSON has it."""
    document = asdict(replace(summary, uses=()))
    document["uses"] = [use_values(use) for use in summary.uses]
    return {"format": FORMAT, **document}


def use_values(use: TagUse) -> list[object]:
    """The fields of a use in their order, the bytes as hexadecimal digits."""
    return [
        use.tag, use.use.value, use.function, use.rva, use.offset, use.raw.hex(), use.text, use.certain, use.wrapper,
        use.source,
    ]  # fmt: skip


def summary_of(document: object) -> DriverSummary | None:
    """The summary in a document; None when it is none, damaged, or of another format."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return None
    try:
        version = document["version"]
        calls = document["calls"]
        return DriverSummary(
            machine=_text(document["machine"]),
            size=_whole(document["size"]),
            timestamp=_whole(document["timestamp"]),
            pdb=_maybe(document["pdb"]),
            packed=bool(document["packed"]),
            version=None if version is None else Version(*(_maybe(version[name]) for name in _VERSION)),
            signer=_maybe(document["signer"]),
            imports=tuple(_text(name) for name in document["imports"]),
            uses=tuple(_use(values) for values in document["uses"][:MAX_USES]),
            calls={_text(name): _whole(count) for name, count in calls.items()},
            unread=_whole(document["unread"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


_VERSION = ("company", "product", "version", "description", "original_name")


def _use(values: list[object]) -> TagUse:
    tag, use, function, rva, offset, raw, text, certain, wrapper, source = values
    return TagUse(
        _whole(tag), Use(_text(use)), _maybe(function), _whole(rva), None if offset is None else _whole(offset),
        bytes.fromhex(_text(raw)), _text(text), bool(certain), None if wrapper is None else _whole(wrapper),
        None if source is None else _whole(source),
    )  # fmt: skip


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise ValueError(value)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _maybe(value: object) -> str | None:
    return None if value is None else _text(value)

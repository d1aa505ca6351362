"""The part of the report that tells of the blocks of a pool, where they were walked; written and read back."""

from dataclasses import dataclass
from typing import Any

from poolsleuth.model.document_node import Node


@dataclass(frozen=True, slots=True)
class FreeRuns:
    """Free blocks of at least so many bytes, and less than twice as many: how many, and their bytes in all."""

    at_least: int
    blocks: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolBlocks:
    """All blocks of a pool, without allocations of whole pages; sizes in bytes, None is what is not known.

    ``allocator`` is "classic", "segment heap" or "scan" (found by a search for headers: a guess). ``pinned_pages`` are
    held by less than a tenth of live bytes each. ``packed_pages`` is what the same blocks would take without gaps.
    ``waiting_bytes`` lie in freed blocks of lookaside lists. ``counted_bytes`` is what the tag tables count,
    ``found_bytes`` what was found of it in blocks and allocations of whole pages.
    """

    allocator: str
    pages: int
    blocks: int
    live_bytes: int
    free_bytes: int
    waiting_bytes: int | None
    largest_free_bytes: int | None
    pinned_pages: int
    packed_pages: int | None
    paged_out_pages: int | None
    not_in_dump_pages: int | None
    counted_bytes: int | None
    found_bytes: int | None
    free_runs: tuple[FreeRuns, ...]


_NUMBERS = ("pages", "blocks", "live_bytes", "free_bytes", "pinned_pages")
_MAYBE = (
    "waiting_bytes", "largest_free_bytes", "packed_pages", "paged_out_pages", "not_in_dump_pages", "counted_bytes",
    "found_bytes",
)  # fmt: skip
_RUN = ("at_least", "blocks", "bytes")


def blocks_document(found: PoolBlocks) -> dict[str, Any]:
    """As plain dictionaries and lists."""
    return {
        "allocator": found.allocator,
        **{name: getattr(found, name) for name in (*_NUMBERS, *_MAYBE)},
        "free_runs": [{name: getattr(run, name) for name in _RUN} for run in found.free_runs],
    }


def read_blocks(node: Node) -> PoolBlocks:
    """Read back what ``blocks_document`` wrote. Raises InputError for what is no such document."""
    numbers = {name: node[name].integer() for name in _NUMBERS}
    maybe = {name: node[name].optional(Node.integer) for name in _MAYBE}
    runs = node["free_runs"].list(lambda run: FreeRuns(*(run[name].integer() for name in _RUN)))
    return PoolBlocks(
        allocator=node["allocator"].text(),
        pages=numbers["pages"],
        blocks=numbers["blocks"],
        live_bytes=numbers["live_bytes"],
        free_bytes=numbers["free_bytes"],
        pinned_pages=numbers["pinned_pages"],
        waiting_bytes=maybe["waiting_bytes"],
        largest_free_bytes=maybe["largest_free_bytes"],
        packed_pages=maybe["packed_pages"],
        paged_out_pages=maybe["paged_out_pages"],
        not_in_dump_pages=maybe["not_in_dump_pages"],
        counted_bytes=maybe["counted_bytes"],
        found_bytes=maybe["found_bytes"],
        free_runs=runs,
    )

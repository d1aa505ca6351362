"""truth.json: everything that a dump of a simulated machine must say, as strict JSON.

Addresses are hexadecimal text, times ISO 8601 in UTC with microseconds, sizes plain numbers named by their unit.
``null`` means that this Windows does not keep the figure, or that the lab does not know where.
"""

import json
from dataclasses import asdict
from datetime import datetime

from poolsleuth.lab.allocator.figures import figures_of as pool_figures
from poolsleuth.lab.allocator.figures import totals_of
from poolsleuth.lab.allocator.headers import tag_text
from poolsleuth.lab.counters import figures_of
from poolsleuth.lab.machine import FREED, IN_USE, Machine, PoolPages, PoolUse, TagUse
from poolsleuth.lab.segment_heap.contents import KIND_NAMES, HeapContents

SCHEMA = "poolsleuth.lab-truth/1"
STATES = ("allocated", "free", "lookaside")
"""Names of the states of a block: ALLOCATED, FREE, IN_LOOKASIDE."""
_FIRST_WITH_POOL_TYPE = 6000  # before Vista the big-page table does not say to which pool an allocation belongs
_NARROW_COUNTERS = 15063  # up to this build a counter of allocations has 32 bits, whatever the pointers have


def counter_bits(machine: Machine) -> int:
    """Bits of the counters of allocations and frees: the dump holds them modulo two to this power."""
    return 32 if machine.windows.build <= _NARROW_COUNTERS else 64


def truth_document(machine: Machine) -> dict[str, object]:
    """The whole truth as JSON values."""
    windows = machine.windows
    return {
        "schema": SCHEMA,
        "story": machine.story,
        "seed": machine.seed,
        "windows": asdict(windows),
        "layout": machine.layout,
        "processors": machine.processors,
        "physical_bytes": machine.physical_bytes,
        "booted_at": time_text(machine.booted_at),
        "crashed_at": time_text(machine.crashed_at),
        "uptime_seconds": (machine.crashed_at - machine.booted_at).total_seconds(),
        "bug_check": {
            "code": f"{machine.bug_check.code:#010x}",
            "parameters": [f"{value:#x}" for value in machine.bug_check.parameters],
        },
        "kdbg_encoded": machine.kdbg_encoded,
        "counter_bits": counter_bits(machine),
        "tag_table_slots": machine.table_size,
        "tags": [_tag(use) for use in machine.tags],
        "big_pages": _big_pages(machine),
        "pool_pages": [_pool_pages(pages) for pages in machine.pool_pages],
        "block_contents": [asdict(contents) for contents in machine.contents],
        "segment_heaps": [_heap(heap) for heap in machine.heaps],
        "descriptors": [asdict(descriptor) for descriptor in machine.descriptors],
        "memory": _plain(figures_of(machine.memory)),
        "page_files": [asdict(file) for file in machine.memory.page_files],
        "modules": [
            asdict(module) | {"base": _hex(module.base), "imports": list(module.imports)} for module in machine.modules
        ],
        "unloaded_modules": [
            {
                "name": module.name,
                "start": _hex(module.start),
                "size": module.size,
                "time": time_text(module.time),
            }
            for module in machine.unloaded
        ],
        "resources": [
            asdict(resource)
            | {
                "address": _hex(resource.address),
                "owners": [asdict(owner) | {"thread": _hex(owner.thread)} for owner in resource.owners],
            }
            for resource in machine.resources
        ],
        "processes": [
            asdict(process)
            | {"address": _hex(process.address), "directory_table_base": _hex(process.directory_table_base)}
            for process in machine.processes
        ],
        "sessions": [
            asdict(session)
            | {
                "address": _hex(session.address),
                "failures": list(session.failures),
                "tags": [_tag(use) for use in session.tags],
            }
            for session in machine.sessions
        ],
        "hidden": asdict(machine.hidden),
        "absent_virtual_pages": [_hex(page) for page in machine.absent_pages],
        "places": {name: _hex(address) for name, address in machine.places.items()},
    }


def truth_text(machine: Machine) -> str:
    """The document as text. No NaN, no infinity; each row of a table on a line of its own would cost too much."""
    return json.dumps(truth_document(machine), indent=1, allow_nan=False, ensure_ascii=True) + "\n"


def _tag(use: TagUse) -> dict[str, object]:
    return {
        "tag": use.tag,
        "expansion": use.expansion,
        "nonpaged": _use(use.nonpaged),
        "paged": _use(use.paged),
    }


def _use(use: PoolUse) -> dict[str, int]:
    return {"allocs": use.allocs, "frees": use.frees, "outstanding": use.outstanding, "bytes": use.bytes}


def _big_pages(machine: Machine) -> dict[str, object]:
    """The table in columns: a million rows stay small that way. Only slots that were ever used."""
    rows = machine.big_pages.rows
    used = rows[rows["state"] != 0]
    typed = machine.windows.build >= _FIRST_WITH_POOL_TYPE
    return {
        "slots": len(rows),
        "in_use": machine.big_pages.in_use,
        "freed": int((rows["state"] == FREED).sum()),
        "bytes_in_use": int(rows["bytes"][rows["state"] == IN_USE].sum()),
        "address": [f"{value:#x}" for value in used["address"].tolist()],
        "tag": [value.decode("latin-1").ljust(4) for value in used["tag"].tolist()],
        "bytes": used["bytes"].tolist(),
        "pool_type": used["pool_type"].tolist() if typed else None,
        "freed_slot": (used["state"] == FREED).tolist(),
    }


def _pool_pages(pages: PoolPages) -> dict[str, object]:
    """Pages that are there, and their blocks in columns; ``tags`` are blocks and bytes that are allocated in them."""
    blocks = pages.blocks
    return {
        "pool": pages.pool,
        "index": pages.index,
        "pages": [f"{value:#x}" for value in pages.addresses.tolist()],
        "figures": asdict(pool_figures(pages)),
        "tags": {tag_text(tag): {"blocks": count, "bytes": size} for tag, (count, size) in totals_of(pages).items()},
        "address": [f"{value:#x}" for value in blocks["address"].tolist()],
        "size": blocks["size"].tolist(),
        "tag": [tag_text(value) for value in blocks["tag"].tolist()],
        "state": [STATES[value] for value in blocks["state"].tolist()],
        "protected": blocks["protected"].tolist(),
        "process": [f"{value:#x}" if value else None for value in blocks["process"].tolist()],
    }


def _heap(heap: HeapContents) -> dict[str, object]:
    """A segment heap and its blocks in columns; ``kind`` is the part of the heap that made a block.

    A block's size is all that it has, which may be more than its header tells. A tag is null where none is left.
    """
    blocks = heap.blocks
    return {
        "pool": heap.pool,
        "node": heap.node if heap.session is None else None,
        "index": heap.index,
        "special": heap.special,
        "session": heap.session,
        "heap": _hex(heap.address),
        "segments": [f"{heap.base + part.at:#x}" for part in heap.segments],
        "lfh_subsegments": len(heap.lfh),
        "vs_subsegments": len(heap.vs),
        "address": [f"{value:#x}" for value in blocks["address"].tolist()],
        "size": blocks["size"].tolist(),
        "tag": [tag_text(value) if value else None for value in blocks["tag"].tolist()],
        "state": [STATES[value] for value in blocks["state"].tolist()],
        "kind": [KIND_NAMES[value] for value in blocks["kind"].tolist()],
        "protected": blocks["protected"].tolist(),
        "process": [f"{value:#x}" if value else None for value in blocks["process"].tolist()],
    }


def _hex(address: int | None) -> str | None:
    return None if address is None else f"{address:#x}"


def time_text(time: datetime) -> str:
    """A time as the truth gives it."""
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain(figures: dict[str, object]) -> dict[str, object]:
    return {name: dict(value) if isinstance(value, dict) else value for name, value in figures.items()}

"""The map as JSON (``poolsleuth.map/1``), for programs."""

import base64

from poolsleuth.model.pool_picture import PicturedPool, PoolPicture
from poolsleuth.report.pool_map.plain import cells_of

SCHEMA = "poolsleuth.map/1"


def document(picture: PoolPicture) -> dict[str, object]:
    """The whole map. ``None`` is what is not known."""
    return {
        "schema": SCHEMA,
        "input": picture.name,
        "source": picture.source,
        "machine": picture.machine or None,
        "address_bits": picture.bits,
        "tag_asked": picture.chosen,
        "tags": list(picture.tags),
        "pools": [_pool(pool) for pool in picture.pools],
        "says": list(picture.says),
    }


def _pool(pool: PicturedPool) -> dict[str, object]:
    f = pool.figures
    cells = cells_of(pool).tobytes().decode("ascii")
    return {
        "pool": None if pool.pool is None else pool.pool.value,
        "session": pool.session,
        "complete": pool.complete,
        "pages_in_use": f.in_use,
        "maximum_pages": f.maximum,
        "live_bytes": f.live_bytes,
        "waiting_bytes": f.waiting_bytes,
        "free_bytes": f.free_bytes,
        "pinned_pages": f.pinned,
        "pinned_bytes": f.pinned_bytes,
        "pinned_by": [{"tag": tag, "pages": pages} for tag, pages in f.pinned_by],
        "largest_free_block": f.largest_free,
        "largest_unused_run_pages": f.largest_gap,
        "whole_allocation_pages": f.whole,
        "missing_pages": f.missing,
        "damaged_pages": f.damaged,
        "paged_out_pages": f.paged_out,
        "unknown_pages": f.unknown,
        "tags": [{"tag": use.tag, "live_bytes": use.bytes, "pages": use.pages} for use in pool.uses],
        "areas": [
            {
                "address": f"0x{area.address:x}",
                "pages": area.pages,
                "cells": cells[area.first : area.first + area.pages],
                "live": _column(pool.live, area.first, area.pages),
                "largest_free": _column(pool.gaps, area.first, area.pages),
                "tag": _column(pool.tags, area.first, area.pages),
            }
            for area in pool.areas
        ],
    }


def _column(octets: bytes, first: int, pages: int) -> str:
    """Base64 of 16 bits for each page."""
    return base64.b64encode(octets[2 * first : 2 * (first + pages)]).decode("ascii")

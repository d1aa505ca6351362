"""The blocks of a pool in the report: written, read back, and absent where they were not walked."""

import pytest

from poolsleuth.model.document_node import Node
from poolsleuth.model.errors import InputError
from poolsleuth.model.report_blocks import FreeRuns, PoolBlocks, blocks_document, read_blocks

BLOCKS = PoolBlocks(
    allocator="classic",
    pages=1763,
    blocks=5900,
    live_bytes=953_000,
    free_bytes=6_243_184,
    waiting_bytes=None,
    largest_free_bytes=0xFE8,
    pinned_pages=1525,
    packed_pages=239,
    paged_out_pages=0,
    not_in_dump_pages=None,
    counted_bytes=13_769_600,
    found_bytes=5_234_032,
    free_runs=(FreeRuns(1024, 12, 20_000), FreeRuns(2048, 3, 9_000)),
)


def test_what_is_written_is_read_back() -> None:
    document = blocks_document(BLOCKS)
    assert document["free_runs"][0] == {"at_least": 1024, "blocks": 12, "bytes": 20_000}
    assert read_blocks(Node(document, "$")) == BLOCKS


@pytest.mark.parametrize("damage", [{"pages": None}, {"pages": "many"}, {"free_runs": 3}, {"allocator": 7}])
def test_a_damaged_document_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(InputError, match="damaged at"):
        read_blocks(Node(blocks_document(BLOCKS) | damage, "$"))

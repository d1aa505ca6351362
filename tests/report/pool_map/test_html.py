"""The page of the map: what it holds, what it escapes, what it leaves out."""

import base64
import json
import re
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from poolsleuth.model.pool_picture import PoolPicture
from poolsleuth.report.pool_map import html as page
from poolsleuth.report.pool_map.html import render_html

from .conftest import MakePicture, MakePool

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028\u202e&amp;"


def parts(text: str) -> tuple[dict[str, Any], list[bytes]]:
    """The JSON value of a page, and the columns of its pools."""
    (meta,) = re.findall(r'<script type="application/json" id="meta">(.*?)</script>', text, re.DOTALL)
    data = re.findall(r'<script type="text/plain" id="data-\d+">(.*?)</script>', text, re.DOTALL)
    return json.loads(meta), [zlib.decompress(base64.b64decode(each)) for each in data]


def test_columns_are_packed_one_behind_the_other(make_pool: MakePool, make_picture: MakePicture) -> None:
    pool = make_pool((0x82780000, ".oO<=>P?"), (0x92780000, "W"))
    meta, (octets,) = parts(render_html(make_picture(pool, bits=64)))
    (told,) = meta["pools"]
    assert told["areas"] == [["82780000", 8], ["92780000", 1]]
    assert (told["pages"], told["kept"], told["pieces"], told["allocations"]) == (9, 2, 4, 2)
    state = np.frombuffer(octets, np.uint8, 9)
    keys = [told["classes"]["state"][place]["key"] for place in state]
    assert keys == ["free", "pinned", "well", "whole", "whole", "whole", "out", "missing", "whole"]
    # Three columns of classes, kinds and marks; live, gaps and tags of 16 bits; then what the counts say
    assert len(octets) == 5 * 9 + 3 * 18 + 2 * 4 + 3 * 4 + 4 * 2 * 3 + 4 + 2 * (4 + 8 + 2)
    assert octets[27:36] == pool.kinds


def test_nothing_of_a_file_becomes_html(make_pool: MakePool, make_picture: MakePicture) -> None:
    picture = make_picture(
        make_pool((0x82780000, "o@")), tags=(HOSTILE, "<b>"), name=HOSTILE, chosen=HOSTILE, says=(HOSTILE,)
    )
    text = render_html(picture)
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "\u2028" not in text
    assert "\u202e" not in text
    assert len(re.findall("<script", text)) == 3  # the JSON value, one pool, the program
    meta, _ = parts(text)
    assert meta["tags"] == [meta["chosen"], "<b>"]
    assert str(meta["chosen"]).startswith("</script>")


def test_it_asks_nobody(make_pool: MakePool, make_picture: MakePicture) -> None:
    text = render_html(make_picture(make_pool((0x82780000, "o"))))
    assert "default-src &#39;none&#39;" in text
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", text)


def test_a_pool_that_is_too_large_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, make_pool: MakePool, make_picture: MakePicture
) -> None:
    monkeypatch.setattr(page, "MAX_PAGES", 10)
    text = render_html(make_picture(make_pool((0x82780000, "o" * 8)), make_pool((0xE1000000, "O" * 8))))
    meta, columns = parts(text)
    assert len(columns) == 1
    assert len(meta["pools"]) == 1
    assert "is not on this page: it would be too large for a browser" in text


def test_blocks_that_were_not_kept_are_said(make_pool: MakePool, make_picture: MakePicture) -> None:

    pool = make_pool((0x82780000, "oO"))
    assert pool.blocks is not None
    assert pool.allocations is not None
    pool = replace(
        pool, blocks=replace(pool.blocks, left_out=47_513), allocations=replace(pool.allocations, left_out=3)
    )
    text = render_html(make_picture(pool))
    assert "the blocks of 47,513 pages are not in this file" in text
    assert "3 allocations of whole pages are shown without their sizes" in text


def test_a_map_of_a_log_has_no_blocks(make_pool: MakePool, make_picture: MakePicture) -> None:

    pool = replace(make_pool((0x82780000, "PO")), blocks=None, allocations=None)
    meta, (octets,) = parts(render_html(make_picture(pool, source="log")))
    assert meta["source"] == "log"
    assert len(octets) == 5 * 2 + 3 * 4 + 4


def test_a_picture_without_pools(make_picture: MakePicture) -> None:
    empty: PoolPicture = make_picture()
    meta, columns = parts(render_html(empty))
    assert (meta["pools"], columns) == ([], [])

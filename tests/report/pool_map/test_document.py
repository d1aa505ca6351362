"""The map as JSON."""

import base64
import json

import numpy as np

from poolsleuth.report.pool_map.document import document

from .conftest import MakePicture, MakePool


def test_every_page_is_in_it(make_pool: MakePool, make_picture: MakePicture) -> None:
    picture = make_picture(make_pool((0x82780000, ".oOW<=>"), (0x92780000, "P?!"), maximum=64640))
    told = json.loads(json.dumps(document(picture), allow_nan=False))
    assert (told["schema"], told["address_bits"], told["source"]) == ("poolsleuth.map/1", 32, "dump")
    (pool,) = told["pools"]
    assert [(area["address"], area["cells"]) for area in pool["areas"]] == [
        ("0x82780000", ".OOO<=>"),
        ("0x92780000", "P?!"),
    ]
    live = np.frombuffer(base64.b64decode(pool["areas"][0]["live"]), "<u2").tolist()
    assert live == [0, 128, 4000, 4096, 4096, 4096, 100]
    tags = np.frombuffer(base64.b64decode(pool["areas"][0]["tag"]), "<u2").tolist()
    assert [told["tags"][place] if place != 0xFFFF else None for place in tags] == [None] + ["Leak"] * 6
    assert pool["pinned_by"] == [{"tag": "Leak", "pages": 1}]
    assert (pool["maximum_pages"], pool["pages_in_use"], pool["missing_pages"], pool["damaged_pages"]) == (
        64640,
        8,
        1,
        1,
    )

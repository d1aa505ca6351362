"""The map as one self-contained HTML file: a canvas that zooms from the whole pool to the blocks of one page.

The file asks nobody for anything. Of the evidence it holds columns of numbers, packed and in base64, and a JSON value
in which every character that HTML could take for its own is escaped; the script shows texts as text.
"""

import base64
import json
import zlib
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from poolsleuth.model.pool_picture import AllocationTable, BlockTable, PicturedPool, PoolPicture
from poolsleuth.report.html import asset, environment, source_hash
from poolsleuth.report.pool_map.classes import BY, PageClass, classify, tag_name, top_tags
from poolsleuth.report.pool_map.words import heading, headlines, maximum_of, title_of
from poolsleuth.report.wording import plural, short

MAX_PAGES = 1 << 22  # pages of the whole file: 16 GB of pool. A browser holds 12 bytes of each, and a picture of 4
MAX_POOLS = 64  # pools drawn: three, and one for each session
MAX_AREAS = 50_000  # stretches of memory in the file
_SCRIPTS = ("map_data.js", "map_draw.js", "map.js")
_LEVEL = 6  # of zlib: the higher ones take three times as long for a tenth less


@dataclass(frozen=True, slots=True)
class _Tab:
    """A pool as the template shows it; ``data`` are its columns."""

    number: int
    title: str
    lines: list[str]
    data: Markup


def render_html(picture: PoolPicture, by: str = "state", version: str = "") -> str:
    """The whole page. Pools beyond the bounds are left out, and the page says so."""
    said = [short(sentence, 1000) for sentence in picture.says]
    tabs: list[_Tab] = []
    metas: list[dict[str, object]] = []
    pages = 0
    for pool in picture.pools:
        if pages + pool.pages > MAX_PAGES or len(tabs) >= MAX_POOLS or len(pool.areas) > MAX_AREAS:
            said.append(
                f"{title_of(pool)} is not on this page: it would be too large for a browser"
                f" ({plural(pool.pages, 'page')} in {plural(len(pool.areas), 'stretch', 'stretches')} of memory);"
                " --pool draws one pool alone, --plain and --json have all of it"
            )
            continue
        pages += pool.pages
        meta, octets = _packed(picture, pool)
        packed = base64.b64encode(zlib.compress(octets, _LEVEL)).decode("ascii")
        tabs.append(_Tab(len(tabs), title_of(pool), [line for line in headlines(pool) if line], Markup(packed)))
        metas.append(meta)
        said += _left_out(pool)
    meta_text = _script_safe(
        json.dumps(
            {
                "bits": picture.bits,
                "source": picture.source,
                "by": by if by in BY else BY[0],
                "tags": [short(tag, 16) for tag in picture.tags],
                "chosen": None if picture.chosen is None else short(picture.chosen, 16),
                "pools": metas,
            }
        )
    )
    style = asset("report.css") + asset("map.css")
    script = "\n".join(("(() => {", *map(asset, _SCRIPTS), "})();"))
    policy = (
        f"default-src 'none'; style-src '{source_hash(style)}'; script-src '{source_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    template = environment().get_template("map.html.j2")
    return template.render(
        version=version,
        title=heading(picture) or "pool map",
        name=short(picture.name, 200),
        machine=short(picture.machine, 200),
        tabs=tabs,
        said=said,
        meta=Markup(meta_text),
        policy=policy,
        style=Markup(style),
        script=Markup(script),
    )


def _left_out(pool: PicturedPool) -> list[str]:
    said = []
    if pool.blocks is not None and pool.blocks.left_out:
        said.append(
            f"{title_of(pool)}: the blocks of {plural(pool.blocks.left_out, 'page')} are not in this file, to keep it"
            " small: of those pages only the sums are shown"
        )
    if pool.allocations is not None and pool.allocations.left_out:
        said.append(
            f"{title_of(pool)}: {plural(pool.allocations.left_out, 'allocation')} of whole pages are shown without"
            " their sizes, to keep this file small"
        )
    return said


def _script_safe(text: str) -> str:
    """JSON that can stand in a script element: nothing in it ends the element or a line of it."""
    # json.dumps leaves no character beyond ASCII, so that U+2028 and U+2029 are escaped already
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _packed(picture: PoolPicture, pool: PicturedPool) -> tuple[dict[str, object], bytes]:
    """What the script is told of a pool, and its columns one behind the other (see ``map.js``)."""
    classes: dict[str, list[dict[str, object]]] = {}
    columns: list[bytes] = []
    for by in BY:
        classified = classify(picture, pool, by)
        classes[by] = [_class(one) for one in classified.classes]
        columns.append(classified.pages.tobytes())
    columns += [pool.kinds, pool.marks, pool.live, pool.gaps, pool.tags]
    blocks = pool.blocks or BlockTable(b"", b"\0\0\0\0", b"", b"", b"", b"", 0)
    columns += [blocks.pages, blocks.starts, blocks.offsets, blocks.sizes, blocks.tags, blocks.marks]
    allocations = pool.allocations or AllocationTable(b"", b"", b"", 0)
    sizes = np.frombuffer(allocations.sizes, "<u8").astype("<f8").tobytes()
    columns += [allocations.pages, sizes, allocations.tags]
    tops = top_tags(pool)
    meta: dict[str, object] = {
        "title": title_of(pool),
        "pages": pool.pages,
        "complete": pool.complete,
        "maximum": maximum_of(pool),
        "areas": [[f"{area.address:x}", area.pages] for area in pool.areas],
        "classes": classes,
        "tops": [[place, tag_name(picture, place)] for place in tops],
        "kept": len(blocks.pages) // 4,
        "pieces": len(blocks.offsets) // 2,
        "allocations": len(allocations.pages) // 4,
    }
    return meta, b"".join(columns)


def _class(one: PageClass) -> dict[str, object]:
    return {"key": one.key, "label": one.label, "colour": one.colour, "used": one.used}

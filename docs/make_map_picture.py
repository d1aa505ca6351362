"""Draws docs/images/map.png: the map of a simulated machine whose nonpaged pool lies in pieces.

Run it from anywhere: ``python docs/make_map_picture.py``. It needs matplotlib.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from poolsleuth.evidence.map_input import read_picture
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine
from poolsleuth.model.tags import PoolKind
from poolsleuth.report.pool_map.picture import render_picture

PICTURE = Path(__file__).parent / "images" / "map.png"


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "MEMORY.DMP")
        simulate(make_machine(windows_named("3790-x86-pae"), "fragmentation")).write(path, "bitmap-full")
        found = read_picture(str(path))
    pools = tuple(pool for pool in found.pools if pool.pool is PoolKind.NONPAGED)
    PICTURE.write_bytes(render_picture(replace(found, name="MEMORY.DMP", pools=pools), "png"))


if __name__ == "__main__":
    main()

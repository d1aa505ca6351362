"""The map as PNG and SVG."""

import io
import sys
from typing import Any

import pytest

from poolsleuth.model.errors import PoolsleuthError
from poolsleuth.report.pool_map.picture import MAX_POOLS, render_picture

from .conftest import MakePicture, MakePool

mpl = pytest.importorskip("matplotlib")


def test_png_shows_the_colours(make_pool: MakePool, make_picture: MakePicture) -> None:
    from matplotlib.image import imread  # noqa: PLC0415 - an extra

    picture = make_picture(make_pool((0x82780000, "o" * 640 + "W" * 640)))
    pixels: Any = imread(io.BytesIO(render_picture(picture, "png")), format="png")
    flat = {
        tuple(round(255 * float(part)) for part in pixel[:3]) for pixel in pixels[::3, ::3].reshape(-1, pixels.shape[2])
    }
    assert {(0xE5, 0x48, 0x4D), (0x3E, 0x86, 0xD8)} <= flat


def test_svg_is_the_same_each_time(make_pool: MakePool, make_picture: MakePicture) -> None:
    picture = make_picture(
        make_pool((0x82780000, ".oOW<=>P?!@" * 50)), tags=("$x$_", "<b>"), name="a$b$.dmp", chosen="_$"
    )
    for by in ("state", "tag", "kind"):
        found = render_picture(picture, "svg", by)
        assert found == render_picture(picture, "svg", by)
        assert found.startswith(b"<?xml")


def test_many_pools_and_many_stretches(make_pool: MakePool, make_picture: MakePicture) -> None:
    many = make_pool(*[(0x82780000 + n * 0x800000, "O") for n in range(60)])
    assert render_picture(make_picture(*[many] * (MAX_POOLS + 2)), "png").startswith(b"\x89PNG")


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch, make_pool: MakePool, make_picture: MakePicture) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PoolsleuthError, match=r"poolsleuth\[plot\]"):
        render_picture(make_picture(make_pool((0x82780000, "O"))), "png")

"""The map on terminals: narrow, wide, with colour and without, and pools that are larger than any screen."""

import io

import pytest
from rich.console import Console

from poolsleuth.model.pool_picture import PoolPicture
from poolsleuth.report.pool_map.cells import fit, gather
from poolsleuth.report.pool_map.classes import classify
from poolsleuth.report.pool_map.terminal import ROWS, render_terminal

from .conftest import MakePicture, MakePool


class Ascii(io.StringIO):
    """A console that has no more than ASCII."""

    encoding = "ascii"


def drawn(
    picture: PoolPicture, width: int = 80, by: str = "state", *, colour: bool = False, ascii_only: bool = False
) -> str:
    file = Ascii() if ascii_only else io.StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
        legacy_windows=False,
    )
    render_terminal(picture, console, by)
    return file.getvalue()


def test_shades(make_pool: MakePool, make_picture: MakePicture) -> None:
    text = drawn(make_picture(make_pool((0x82780000, ".ohOW!?P@"))))
    assert "  82780000: ·░▒██!?P@" in text
    assert "a cell is one page" in text
    assert "? not in the dump" in text
    assert (
        "1 page (4.0 KB) pinned by 128 bytes of live blocks, a tenth of the page or less; held by Leak 1"
        in " ".join(text.split())
    )


def test_ascii(make_pool: MakePool, make_picture: MakePicture) -> None:
    text = drawn(make_picture(make_pool((0x82780000, ".ohOW"))), ascii_only=True)
    assert "  82780000: .:-##" in text
    assert text.isascii()


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("pages", [1, 100, 20_000])
def test_no_line_is_wider_than_the_screen(
    width: int, colour: bool, bits: int, pages: int, make_pool: MakePool, make_picture: MakePicture
) -> None:
    picture = make_picture(make_pool((0x82780000, ("OOo." * pages)[:pages])), bits=bits, says=("x" * 500,))
    console = Console(file=io.StringIO(), width=width, color_system="truecolor" if colour else None, record=True)
    render_terminal(picture, console)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= ROWS + 30


def test_two_rows_of_cells_share_a_line_of_colour(make_pool: MakePool, make_picture: MakePicture) -> None:
    text = drawn(make_picture(make_pool((0x82780000, "o" * 128))), colour=True)
    assert text.count("▀") == 64
    assert "\x1b[38;2;229;72;77;48;2;229;72;77m▀" in text  # #e5484d above #e5484d


@pytest.mark.parametrize("by", ["state", "tag", "kind"])
def test_every_colouring_has_its_legend(by: str, make_pool: MakePool, make_picture: MakePicture) -> None:
    text = drawn(make_picture(make_pool((0x82780000, ".oOW"))), by=by, colour=True)
    words = {"state": "pinned: a tenth or less is live", "tag": "Leak", "kind": "classic blocks"}
    assert words[by] in text


def test_a_tag_of_a_file_is_no_escape_sequence(make_pool: MakePool, make_picture: MakePicture) -> None:
    picture = make_picture(make_pool((0x82780000, "@o")), tags=("\x1b[2J", "[/]x"), chosen="[/]x", name="a\x1b[31m.dmp")
    for colour in (False, True):
        text = drawn(picture, by="tag", colour=colour)
        assert "\x1b[2J" not in text
        assert "\x1b[31m" not in text
        assert "holds [/]x" in text


def test_gaps_between_stretches_are_told(make_pool: MakePool, make_picture: MakePicture) -> None:
    text = drawn(make_picture(make_pool((0x82780000, "OO"), (0x92780000, "O"))))
    assert "  82780000: ██\n  ...\n  92780000: █\n" in text
    assert "2 stretches of memory" in text


def test_of_a_log_no_more_is_said_than_it_tells(make_pool: MakePool, make_picture: MakePicture) -> None:
    text = drawn(make_picture(make_pool((0x82780000, "O")), source="log"))
    assert "up to 10 % in use" in text


def test_cells_keep_what_is_rare(make_pool: MakePool, make_picture: MakePicture) -> None:
    pool = make_pool((0x82780000, "O" * 99 + "!" + "." * 99 + "o" + "." * 100))
    picture = make_picture(pool)
    classified = classify(picture, pool, "state")
    pages, rows, starts = fit(pool, 4, 1)
    cells = gather(pool, classified, starts, pages)
    assert (pages, len(rows)) == (128, 1)
    # A damaged page is seen among ninety-nine others, a page in use among unused ones
    assert [classified.classes[n].key for n in cells.classes.tolist()] == ["damaged", "pinned", "free"]
    assert cells.used.tolist() == [100 / 128, 1 / 128, 0]


def test_many_stretches_run_on(make_pool: MakePool) -> None:
    pool = make_pool(*[(0x82780000 + n * 0x1000000, "OO.O") for n in range(100)])
    pages, rows, starts = fit(pool, 64, 16)
    assert pages == 1
    assert len(starts) == 400
    assert [(row.first, row.last) for row in rows][:2] == [(0, 64), (64, 128)]
    assert rows[1].address == 0x82780000 + 16 * 0x1000000

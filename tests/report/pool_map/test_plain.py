"""What `map --plain` prints is a debugger's map: our own log reader reads it back as the same pages."""

import io

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.evidence.pool_picture import picture_of_log
from poolsleuth.model.pool_picture import PoolPicture
from poolsleuth.model.tags import PoolKind
from poolsleuth.report.pool_map.plain import cells_of, render_plain

from .conftest import MakePicture, MakePool

WORDS = (".", ".", ".", "o", "O", "W", "P", "?", "!", "<>", "<=>", "<==>")


def test_a_row_as_the_debugger_prints_it(make_pool: MakePool, make_picture: MakePicture) -> None:
    text = "..OO.OO.OO..O.OO" + ".O..OO.OO.OO..O." + "OO.O..OO.O..OO.." + "..OO.O..OO.OO.OO"
    lines = list(render_plain(make_picture(make_pool((0x82780000, text), maximum=64640))))
    # The lines of the article: head, figures, and its first row
    assert lines[0] == "Status Map of Pool Area Pages"
    assert "Non-Paged Pool Area Summary" in lines
    assert "Maximum Number of Pages  = 64640 pages" in lines
    assert "Number of Pages In Use   = 34 pages (0.1%)" in lines
    assert lines[-2] == "          +00000  +08000   +10000  +18000   +20000  +28000   +30000  +38000"
    assert lines[-1] == "82780000: ..OO.OO.OO..O.OO .O..OO.OO.OO..O. OO.O..OO.O..OO.. ..OO.O..OO.OO.OO"


def test_cells(make_pool: MakePool) -> None:
    pool = make_pool((0x82780000, ".oOhW<=>P?!"))
    assert cells_of(pool).tobytes().decode() == ".OOOO<=>P?!"


def test_rows_begin_at_round_addresses_and_gaps_are_told(make_pool: MakePool, make_picture: MakePicture) -> None:
    pool = make_pool((0x82781000, "OO"), (0x82900000, "O"), complete=False)
    assert list(render_plain(make_picture(pool)))[-4:] == [
        f"82780000: .OO{'.' * 13} {'.' * 16} {'.' * 16} {'.' * 16}",
        "...",
        f"82900000: O{'.' * 15} {'.' * 16} {'.' * 16} {'.' * 16}",
        "...",
    ]


def _read(text: str) -> PoolPicture:
    return picture_of_log(LogReader(0).read(io.BytesIO(text.encode())), "x")


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.lists(st.sampled_from(WORDS), min_size=1, max_size=80)), min_size=1, max_size=4
    ),
    st.sampled_from([PoolKind.NONPAGED, PoolKind.PAGED, PoolKind.SESSION]),
    st.sampled_from([32, 64]),
)
def test_what_is_printed_is_read_back(
    make_pool: MakePool, make_picture: MakePicture, parts: list[tuple[int, list[str]]], kind: PoolKind, bits: int
) -> None:
    page = 0x82780 if bits == 32 else 0xFFFFF80000780
    areas = []
    for gap, words in parts:
        text = "".join(words)
        page += gap
        areas.append((page * 4096, text))
        page += len(text)
    pool = make_pool(*areas, pool=kind, session=3 if kind is PoolKind.SESSION else None)
    text = "0: kd> !xpool -map\n" + "\n".join(render_plain(make_picture(pool, bits=bits))) + "\n"
    (back,) = _read(text).pools
    assert back.pool is kind
    told = {a.address // 4096 + n: chr(cells_of(back)[a.first + n]) for a in back.areas for n in range(a.pages)}
    wanted = {a.address // 4096 + n: chr(cells_of(pool)[a.first + n]) for a in pool.areas for n in range(a.pages)}
    assert {page: told[page] for page in wanted} == wanted
    assert all(cell == "." for page, cell in told.items() if page not in wanted)
    assert back.figures.in_use == pool.figures.in_use


def test_several_pools_and_one_that_is_not_known(make_pool: MakePool, make_picture: MakePicture) -> None:
    pools = [
        make_pool((0x82780000, "O."), pool=PoolKind.NONPAGED),
        make_pool((0xE1000000, "O="), pool=PoolKind.PAGED),
        make_pool((0xF0000000, "OO"), pool=None),
    ]
    text = "0: kd> !xpool -map\n" + "\n".join(render_plain(make_picture(*pools))) + "\n"
    assert [(one.pool, one.figures.in_use) for one in _read(text).pools] == [
        (PoolKind.NONPAGED, 1),
        (PoolKind.PAGED, 2),
    ]

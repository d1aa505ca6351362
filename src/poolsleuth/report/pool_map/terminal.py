"""The map on a terminal: two cells in each character where there is colour, shades where there is none."""

from rich.console import Console
from rich.text import Text

from poolsleuth.model.pool_picture import PAGE, PicturedPool, PoolPicture
from poolsleuth.report.page import Page
from poolsleuth.report.pool_map.cells import Cells, Row, fit, gather
from poolsleuth.report.pool_map.classes import FREE, PageClass, classify
from poolsleuth.report.pool_map.words import address_text, heading, headlines, title_of
from poolsleuth.report.wording import bytes_short, plural, short

ROWS = 16  # lines of text that a pool's map may have
WIDTHS = (128, 96, 64, 48, 32, 16)  # cells in a row: so that rows begin at round addresses
CHOSEN = "#ffffff"
_HALF = "▀"
_SHADES, _ASCII_SHADES = "·░▒▓█", ".:-+#"
_TENTH, _HALF_SHARE, _NEARLY = 0.10, 0.50, 0.90
_FAINTEST = 0.45  # how much of its colour a cell keeps where hardly a page is in use


def render_terminal(picture: PoolPicture, console: Console, by: str = "state") -> None:
    """Print every pool: what is said of it, its map, and the legend."""
    page = Page(console)
    page.line(heading(picture), style="bold")
    coloured = console.color_system is not None and not console.no_color and page.fancy
    for pool in picture.pools:
        page.blank()
        page.line(title_of(pool), style="bold")
        for sentence in headlines(pool):
            if sentence:
                page.line(sentence, indent=2)
        page.blank()
        _map(page, picture, pool, by, coloured=coloured)
    if picture.says:
        page.blank()
    for sentence in picture.says:
        page.line(sentence, lead="note: ", lead_style="bold")


def _map(page: Page, picture: PoolPicture, pool: PicturedPool, by: str, *, coloured: bool) -> None:
    margin = (8 if picture.bits == 32 else 16) + 4
    width = next((each for each in WIDTHS if each + margin <= page.width), WIDTHS[-1])
    classified = classify(picture, pool, by)
    pages, rows, starts = fit(pool, width, ROWS * 2 if coloured else ROWS)
    cells = gather(pool, classified, starts, pages)
    if coloured:
        _coloured(page, picture, rows, cells, classified.classes)
    else:
        _shaded(page, picture, rows, cells, classified.classes)
    if not pool.complete:
        page.print(Text("  ..."))
    each = "a cell is one page" if pages == 1 else f"a cell is {plural(pages, 'page')} ({bytes_short(pages * PAGE)})"
    if len(pool.areas) > 1:
        each += f"; {plural(len(pool.areas), 'stretch', 'stretches')} of memory, the gaps between them left out"
    page.blank()
    present = [one for number, one in enumerate(classified.classes) if (cells.classes == number).any()]
    if coloured:
        _colour_legend(page, present, picture)
    else:
        _shade_legend(page, present, picture)
    page.line(each, indent=2, style="dim")


def _coloured(page: Page, picture: PoolPicture, rows: list[Row], cells: Cells, classes: tuple[PageClass, ...]) -> None:
    """Two rows of cells in each line; a gap begins a new line."""
    at = 0
    while at < len(rows):
        upper = rows[at]
        lower = rows[at + 1] if at + 1 < len(rows) and not rows[at + 1].gap else None
        if upper.gap:
            page.print(Text("  ...", style="dim"))
        line = Text().append(f"  {address_text(upper.address, picture.bits)}: ", "dim")
        for column in range(upper.last - upper.first):
            top = _colour(cells, upper.first + column, classes)
            under = None
            if lower is not None and column < lower.last - lower.first:
                under = _colour(cells, lower.first + column, classes)
            line.append(_HALF, f"{top} on {under}" if under is not None else top)
        page.print(line)
        at += 1 if lower is None else 2


def _colour(cells: Cells, at: int, classes: tuple[PageClass, ...]) -> str:
    if cells.chosen[at]:
        return CHOSEN
    one = classes[int(cells.classes[at])]
    if not one.used:
        return one.colour
    return _mixed(FREE.colour, one.colour, _FAINTEST + (1 - _FAINTEST) * float(cells.used[at]))


def _mixed(back: str, front: str, share: float) -> str:
    parts = (round(int(back[n : n + 2], 16) * (1 - share) + int(front[n : n + 2], 16) * share) for n in (1, 3, 5))
    return "#" + "".join(f"{part:02x}" for part in parts)


def _shaded(page: Page, picture: PoolPicture, rows: list[Row], cells: Cells, classes: tuple[PageClass, ...]) -> None:
    shades = _SHADES if page.fancy else _ASCII_SHADES
    for row in rows:
        if row.gap:
            page.print(Text("  ..."))
        drawn = "".join(_shade(cells, at, classes, shades) for at in range(row.first, row.last))
        page.print(Text(f"  {address_text(row.address, picture.bits)}: {drawn}"))


def _shade(cells: Cells, at: int, classes: tuple[PageClass, ...], shades: str) -> str:
    if cells.chosen[at]:
        return "@"
    one = classes[int(cells.classes[at])]
    if one.mark and one is not FREE:
        return one.mark
    live = float(cells.live[at])
    if not cells.used[at]:
        return shades[0]
    return shades[1 if live <= _TENTH else 2 if live <= _HALF_SHARE else 3 if live <= _NEARLY else 4]


def _colour_legend(page: Page, present: list[PageClass], picture: PoolPicture) -> None:
    entries = [(one.label, one.colour) for one in present]
    if picture.chosen is not None:
        entries.append((f"holds {short(picture.chosen, 16)}", CHOSEN))
    line, length = Text("  "), 2
    for label, colour in entries:
        text = page.said(label)
        if length > 2 and length + len(text) + 5 > page.width:
            page.print(line)
            line, length = Text("  "), 2
        line.append("■", colour).append(f" {text}   ")
        length += len(text) + 5
    page.print(line)


def _shade_legend(page: Page, present: list[PageClass], picture: PoolPicture) -> None:
    shades = _SHADES if page.fancy else _ASCII_SHADES
    what = "live" if picture.source == "dump" else "in use"  # of a debugger's map no more is known
    words = ("not used", f"up to 10 % {what}", "to 50 %", "to 90 %", "more")
    entries = [f"{shade} {word}" for shade, word in zip(shades, words, strict=True)]
    entries += [f"{one.mark} {one.label}" for one in present if one.mark and one is not FREE]
    if picture.chosen is not None:
        entries.append(f"@ holds {short(picture.chosen, 16)}")
    page.line("   ".join(entries), indent=2)

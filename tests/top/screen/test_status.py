"""The bottom line."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment

from poolsleuth.report.wording import clean
from poolsleuth.top.screen.status import Said, status_line


def text(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments)


@given(st.text(max_size=90), st.text(max_size=30), st.integers(1, 200), st.booleans())
def test_the_bottom_line_is_exactly_as_wide(message: str, place: str, width: int, replay: bool) -> None:
    said = Said(message, "", clean(place), replay)
    assert cell_len(text(status_line(said, width))) in (width, max(width, 2))


def test_a_message_goes_before_filters_and_these_before_the_keys() -> None:
    assert text(status_line(Said("done", "only Mm*", "1-2 of 2"), 80)).startswith(" done ")
    assert text(status_line(Said("", "only Mm*", "1-2 of 2"), 80)).startswith(" only Mm*  c shows all")
    assert text(status_line(Said("", "", "1-2 of 2"), 80)).startswith(" h help  / search ")
    assert text(status_line(Said("", "", "1-2 of 2"), 80)).endswith(" 1-2 of 2 ")
    assert text(status_line(Said("", "", ""), 20)).startswith(" h help  q quit ")

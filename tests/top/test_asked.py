"""What is typed at prompts: commands as poolmon's, sessions, files, places in time; clear sentences for the rest."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.sample import Floats
from poolsleuth.top.asked import (
    Command,
    Exclude,
    Include,
    OfSession,
    Search,
    applied,
    read_command,
    read_export,
    read_pattern,
    read_place,
    read_session,
)
from poolsleuth.top.view import ViewOptions

NOON = 1_795_003_200.0  # 2026-11-18 12:00 UTC
DAY = 86_400.0
# Every ten minutes for two days, from the 18th, 12:00, to the 20th, 12:00
TIMES: Floats = (NOON + np.arange(289) * 600.0).astype(np.float64)
UNDATED: Floats = np.full(40, np.nan)


def place_of(day: int, hour: int, minute: int) -> int:
    return round(((day - 18) * DAY + (hour - 12) * 3600 + minute * 60) / 600)


# ---- commands ----


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("iMm*", Include("Mm*")),
        ("/iMm*", Include("Mm*")),
        ("i?oo", Include("?oo")),
        ("i", Include(None)),
        ("xFile", Exclude("File")),
        ("x*st", Exclude("*st")),
        ("x", Exclude(None)),
        ("s1", OfSession(1)),
        ("s", OfSession(None)),
        ("s12", OfSession(12)),
        ("srv", Search("srv")),
        ("ntfs", Search("ntfs")),
        ("Mm", Search("Mm")),
        ("xfs driver", Search("xfs driver")),
        ("istrange", Search("istrange")),
        (" irp", Search("irp")),
        ('"irp"', Search("irp")),
        ("", Search("")),
        ("/", Search("")),
    ],
)
def test_commands(text: str, command: Command) -> None:
    assert read_command(text) == command


def test_commands_change_what_is_shown() -> None:
    options = applied(ViewOptions(include=("Mm*",), search="x"), Include("Nt?s"))
    assert options.include == ("Mm*", "Nt?s")
    assert options.search == "x"
    assert applied(options, Include("Mm*")).include == ("Mm*", "Nt?s")
    assert applied(options, Include(None)).include == ()
    assert applied(options, Exclude("File")).exclude == ("File",)
    assert applied(options, OfSession(-1)).session == -1
    assert applied(options, Search("y")).search == "y"


@given(st.text(max_size=400))
def test_anything_typed_is_a_command_or_too_long(text: str) -> None:
    try:
        command = read_command(text)
    except InputError:
        assert len(text) > 300
    else:
        applied(ViewOptions(), command)


def test_patterns() -> None:
    assert read_pattern(" Mm* ") == "Mm*"
    with pytest.raises(InputError, match="four characters"):
        read_pattern("Driver")
    with pytest.raises(InputError, match="type a tag"):
        read_pattern("  ")


# ---- sessions ----


@pytest.mark.parametrize(("text", "session"), [("", -1), ("all", -1), (" 3 ", 3), ("0", 0), ("system", None)])
def test_sessions(text: str, session: int | None) -> None:
    assert read_session(text) == session


@pytest.mark.parametrize("text", ["one", "-5", "70000", "65534", "1.5", "١"])
def test_no_sessions(text: str) -> None:
    with pytest.raises(InputError, match="is no session: type a number"):
        read_session(text)


# ---- files ----


def test_a_new_file(tmp_path: Path) -> None:
    assert read_export(f" {tmp_path / 'pool.csv'} ") == tmp_path / "pool.csv"
    assert read_export(str(tmp_path / "Pool.MD")) == tmp_path / "Pool.MD"


def test_files_that_are_not_written(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("kept")
    (tmp_path / "link.md").symlink_to(tmp_path / "nowhere")
    for name, why in {
        "": "type a file name",
        str(tmp_path / "there.csv"): "exists and is not overwritten",
        str(tmp_path / "link.md"): "exists and is not overwritten",
        str(tmp_path / "pool.txt"): "end the name in .csv",
        str(tmp_path / "pool"): "end the name in .csv",
        str(tmp_path / "no" / "pool.csv"): "does not exist",
        f"{'x' * 270}.csv": "cannot be a file name here",
        "a\0b.csv": "cannot be a file name here",
    }.items():
        with pytest.raises(InputError, match=why):
            read_export(name)
    assert (tmp_path / "there.csv").read_text() == "kept"


# ---- places in time ----


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("2026-11-19T14:00", place_of(19, 14, 0)),
        ("2026-11-19 14:00", place_of(19, 14, 0)),
        ("2026-11-19 14:09:59", place_of(19, 14, 0)),  # the sample before
        ("2026-11-19T14:00Z", place_of(19, 14, 0)),
        ("2026-11-19 14:00 UTC", place_of(19, 14, 0)),
        ("2026-11-19T15:00+01:00", place_of(19, 14, 0)),
        ("2026-11-19", place_of(19, 0, 0)),
        ("2026-11-20 12:05", 288),  # within one interval behind the end
        ("14:00", place_of(19, 14, 0)),  # of the day that is shown
        ("1:30", place_of(19, 1, 30)),
        ("end", 288),
        ("END", 288),
        ("start", 0),
        ("1", 0),
        ("12", 11),
        ("#289", 288),
        ("+5", 149),
        ("-5", 139),
        ("-5000", 0),
        ("+30m", 147),
        ("-2h", 132),
        ("+1h30m", 153),
        ("+0.5h", 147),
        ("+99d", 288),
        ("-52w", 0),
    ],
)
def test_places(text: str, place: int) -> None:
    assert read_place(text, TIMES, place_of(19, 12, 0)) == place


def test_a_time_of_day_is_of_the_day_shown_or_else_of_the_nearest() -> None:
    # On the 18th nothing was recorded at 2:00; on the 20th nothing at 20:00
    assert read_place("2:00", TIMES, place_of(18, 23, 0)) == place_of(19, 2, 0)
    assert read_place("20:00", TIMES, place_of(20, 3, 0)) == place_of(19, 20, 0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "type 14:00"),
        ("tomorrow", "tomorrow is no place: type 14:00"),
        ("25:00", "is no place"),
        ("12:61", "is no place"),
        ("2026-13-01", "is no time: write 2026"),
        ("2026-11-19T14:00 CET", "is no time"),
        ("2026-12-24", "nothing was recorded at 2026-12-24: the samples reach from 2026-11-18 12:00:00 UTC to"),
        ("0001-01-01T00:00+23:59", "nothing was recorded"),
        ("9999-12-31T23:59-23:59", "nothing was recorded"),
        ("0", "there is no sample 0: they are 1 to 289"),
        ("290", "there is no sample 290"),
        ("+30", ""),
        ("+30x", "is no place"),
        ("\x1b[31m", r"\\x1b\[31m is no place"),
    ],
)
def test_what_is_no_place(text: str, why: str) -> None:
    if not why:
        assert read_place(text, TIMES, 0) == 30
        return
    with pytest.raises(InputError, match=why):
        read_place(text, TIMES, 0)


def test_samples_without_times_are_counted() -> None:
    assert read_place("12", UNDATED, 0) == 11
    assert read_place("+5", UNDATED, 4) == 9
    assert read_place("end", UNDATED, 4) == 39
    for text in ("+30m", "14:00", "2026-11-19"):
        with pytest.raises(InputError, match="no times: type a number from 1 to 40"):
            read_place(text, UNDATED, 0)
    with pytest.raises(InputError, match="no samples"):
        read_place("1", UNDATED[:0], 0)


def test_local_times_have_no_zone() -> None:
    assert read_place("2026-11-19T14:00", TIMES, 0, utc=False) == place_of(19, 14, 0)
    with pytest.raises(InputError, match="leave the zone out"):
        read_place("2026-11-19T14:00Z", TIMES, 0, utc=False)
    with pytest.raises(InputError, match=r"to 2026-11-20 12:00:00$"):
        read_place("2026-12-24", TIMES, 0, utc=False)


@given(
    st.text(max_size=30) | st.from_regex(r"[+-]?[0-9:TZ. smhdw+-]{1,25}", fullmatch=True),
    st.lists(st.floats(0, 4e9), max_size=20),
    st.integers(-5, 30),
    st.booleans(),
)
def test_anything_typed_is_a_place_or_a_sentence(text: str, times: list[float], place: int, utc: bool) -> None:
    found = place_or_why(text, np.array(sorted(times)), place, utc=utc)
    assert found.isprintable() if isinstance(found, str) else 0 <= found < len(times)


def place_or_why(text: str, times: Floats, place: int, *, utc: bool = True) -> int | str:
    try:
        return read_place(text, times, place, utc=utc)
    except InputError as error:
        return str(error)


@given(st.datetimes(datetime(2026, 11, 17), datetime(2026, 11, 22)))
def test_a_full_time_means_the_last_sample_before_it(moment: datetime) -> None:
    seconds = moment.replace(tzinfo=UTC, microsecond=0).timestamp()
    found = place_or_why(f"{moment:%Y-%m-%dT%H:%M:%S}", TIMES, 0)
    if TIMES[0] - 600 <= seconds <= TIMES[-1] + 600:
        assert found == max(0, np.flatnonzero(max(seconds, NOON) >= TIMES)[-1])
    else:
        assert isinstance(found, str)
        assert "nothing was recorded" in found

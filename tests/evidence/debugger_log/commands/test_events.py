"""Events of the system log pasted as text."""

import dataclasses
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.facts import Where
from poolsleuth.model.system import EventText

SHARED = Path(__file__).resolve().parents[4].parent / "shared"


def read(text: str) -> list[Any]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode())))
    assert not [problem for problem in reader.problems if "could not be read" in problem.says]
    return facts


def real(name: str) -> str:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return path.read_text(encoding="utf-8", errors="replace")


def only(text: str, kind: type[Any]) -> list[Any]:
    return [fact for fact in read(text) if isinstance(fact, kind)]


def plain(value: Any) -> Any:
    """A fact without its place and prompt: damage moves lines and loses prompts."""
    if isinstance(value, Where):
        return None
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value) if f.name not in {"live", "command"}]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def wrapped(text: str, width: int = 64) -> str:
    return re.sub(rf"(?m)^(?=.{{{width + 1}}})(.{{20,{width}}}) +(?=\S)", r"\1\n", text)


DAMAGE: dict[str, Callable[[str], str]] = {
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: re.sub(r"(?m) +", " ", re.sub(r"(?m)^ +", "", text)),
    "quoted": lambda text: re.sub(r"(?m)^", "> ", text),
    "tabbed": lambda text: re.sub(r"(?m)^", "\t", text),
    "hard blanks": lambda text: text.replace("  ", "\u00a0 "),
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
    "no prompt": lambda text: re.sub(r"(?m)^[^\n]*kd>[^\n]*$", "", text),
}


def broken(sample: str, cut: int, at: int, junk: str) -> str:
    text = sample[: cut % (len(sample) + 1)]
    place = at % (len(text) + 1)
    return text[:place] + junk + text[place + len(junk) :]


VIEWER_2003 = """Event Type:	Error
Event Source:	Srv
Event Category:	None
Event ID:	2019
Date:		3/26/2008
Time:		10:15:22 AM
User:		N/A
Computer:	SERVER1
Description:
The server was unable to allocate from the system nonpaged pool because the pool was empty.

For more information, see Help and Support Center at http://go.microsoft.com/fwlink/events.asp.
Data:
0000: 00 00 04 00 01 00 54 00   ......T.
"""

VIEWER_2008 = """Log Name:      System
Source:        Microsoft-Windows-Resource-Exhaustion-Detector
Date:          6/25/2012 4:12:36 PM
Event ID:      2004
Level:         Warning
User:          SYSTEM
Computer:      EX01.example.com
Description:
Windows successfully diagnosed a low virtual memory condition. The following programs consumed the most virtual
memory: store.exe (7580) consumed 11282399232 bytes, and w3wp.exe (21092) consumed 562757632 bytes.
Event Xml:
<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">
  <System>
    <Provider Name="Microsoft-Windows-Resource-Exhaustion-Detector" Guid="{9988748e-c2e8-4054-85f6-0c3e1cad2470}" />
    <EventID>2004</EventID>
    <TimeCreated SystemTime="2012-06-25T14:12:36.547000000Z" />
    <Computer>EX01.example.com</Computer>
  </System>
</Event>
"""

XML = """<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">
  <System>
    <Provider Name="Srv" />
    <EventID Qualifiers="49152">2020</EventID>
    <TimeCreated SystemTime="2012-06-25T14:12:36.000000000Z" />
    <Computer>SERVER1</Computer>
  </System>
</Event>
"""

FRIENDLY = """- System

  - Provider

   [ Name]  Microsoft-Windows-Resource-Exhaustion-Detector
   [ Guid]  {9988748E-C2E8-4054-85F6-0C3E1CAD2470}

   EventID 2004

   Level 3

  - TimeCreated

   [ SystemTime]  2012-06-25T14:12:36.547Z

   Computer EX01.example.com

- UserData

  - MemoryExhaustionInfo

   SystemCommitLimit 8589934592
   PagedPoolUsage 104857600
   NonPagedPoolUsage 3221225472
"""

REGISTRY = """Event Type: Error
Event Source: Application Popup
Event ID: 333
Computer: TS1
Description:
An I/O operation initiated by the Registry failed unrecoverably. The Registry could not read in, or write out, or
flush, one of the files that contain the system's image of the Registry.
"""


def test_the_viewer_of_2003() -> None:
    (event,) = read(VIEWER_2003)
    assert (event.event_id, event.computer) == (2019, "SERVER1")
    assert event.says == "The server was unable to allocate from the system nonpaged pool because the pool was empty."
    assert event.logged_at is None  # the viewer prints local time
    assert event.where.line == 10


def test_the_viewer_of_2008_with_its_xml_is_one_event() -> None:
    (event,) = read(VIEWER_2008)
    assert (event.event_id, event.computer) == (2004, "EX01.example.com")
    assert event.says.endswith("and w3wp.exe (21092) consumed 562757632 bytes.")
    assert event.logged_at == datetime(2012, 6, 25, 14, 12, 36, 547_000, tzinfo=UTC)


def test_xml_alone() -> None:
    (event,) = read(XML)
    assert (event.event_id, event.computer) == (2020, "SERVER1")
    assert event.logged_at == datetime(2012, 6, 25, 14, 12, 36, tzinfo=UTC)


def test_the_friendly_view_prints_figures() -> None:
    (event,) = read(FRIENDLY)
    assert (event.event_id, event.computer) == (2004, "EX01.example.com")
    assert event.says == "SystemCommitLimit 8589934592, PagedPoolUsage 104857600, NonPagedPoolUsage 3221225472"
    assert event.logged_at == datetime(2012, 6, 25, 14, 12, 36, 547_000, tzinfo=UTC)


def test_the_registry_event() -> None:
    (event,) = read(REGISTRY)
    assert (event.event_id, event.computer) == (333, "TS1")
    assert event.says.endswith("the system's image of the Registry.")


def test_on_one_line() -> None:
    (event,) = read(" ".join(VIEWER_2003.split("For more", maxsplit=1)[0].split()))
    assert (event.event_id, event.computer) == (2019, "SERVER1")


@pytest.mark.parametrize(
    ("spelling", "number"),
    [("NonPaged", 2019), ("Non-Paged", 2019), ("nonpaged", 2019), ("Paged", 2020), ("paged", 2020)],
)
def test_spellings_of_the_bare_message(spelling: str, number: int) -> None:
    text = f"The server was unable to allocate from the system {spelling} pool because the pool was empty."
    (event,) = read(text)
    assert (event.event_id, event.computer, event.logged_at) == (number, None, None)


def test_the_message_decides_where_the_number_beside_it_is_wrong() -> None:
    (event,) = read(VIEWER_2003.replace("2019", "2020"))
    assert event.event_id == 2019


def test_several_events() -> None:
    events = read(VIEWER_2003 + "\n" + XML + "\n" + REGISTRY)
    assert [event.event_id for event in events] == [2019, 2020, 333]
    assert [event.computer for event in events] == ["SERVER1", "SERVER1", "TS1"]


@pytest.mark.parametrize(
    "text",
    [
        "Event ID (2020 or 2019): where the pool went\n",
        "Event ID: 2019\nis logged when nonpaged pool runs out\n",
        "Event ID 2019 and Event ID 2020 (Srv) explained\n",
        "Event Type: Error\nEvent Source: Disk\nEvent ID: 333\nDescription:\nThe device is not ready.\n",
        "Log Name: System\nSource: Srv\nEvent ID: 2013\n",
        "The server was unable to allocate from the system",
    ],
)
def test_an_article_that_names_an_event_is_none(text: str) -> None:
    assert read(text) == []


def test_a_number_with_its_source_is_an_event() -> None:
    (event,) = read("Log Name:      System\nSource:        Srv\nEvent ID:      2019\nComputer:      HOST\n")
    assert (event.event_id, event.computer, event.says) == (2019, "HOST", "Event ID 2019")


def test_real_articles_hold_no_event() -> None:
    for number in ("000_8ab0d1702d9075eb", "001_a69109390386e220", "002_3328612633af358e", "003_96cb3bda37ffc284"):
        assert only(real(f"seeds/{number}.txt"), EventText) == []


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("sample", [VIEWER_2003, VIEWER_2008, XML, FRIENDLY, REGISTRY])
def test_damage_of_pasted_text_changes_nothing(damage: str, sample: str) -> None:
    assert plain(read(DAMAGE[damage](sample))) == plain(read(sample))
    assert read(sample)


@pytest.mark.parametrize("sample", [VIEWER_2003, XML, REGISTRY])
def test_hard_wrapped_lines_change_nothing(sample: str) -> None:
    assert plain(read(wrapped(sample))) == plain(read(sample))


@given(cut=st.integers(0, 20_000), at=st.integers(0, 20_000), junk=st.text(max_size=12))
@settings(max_examples=80, deadline=None)
def test_any_cut_or_changed_sample_gives_facts_or_nothing(cut: int, at: int, junk: str) -> None:
    for sample in (VIEWER_2003, VIEWER_2008, XML, FRIENDLY, REGISTRY):
        for fact in read(broken(sample, cut, at, junk)):
            assert fact.where.line is not None

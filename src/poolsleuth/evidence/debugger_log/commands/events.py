"""Events of the system log pasted as text: 2019 and 2020 (Srv), 333 (Application Popup), 2004 (resource exhaustion).

In the viewer's forms of Windows 2003 and later, as XML, as the flattened "friendly view", and as the bare message. An
article that merely names an event is none: its message must be quoted, or its number stand beside its source.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from poolsleuth.evidence.debugger_log.output import Block, BufferedOutput, Context, Output
from poolsleuth.model.facts import Fact
from poolsleuth.model.system import EventText

MAX_CHARS = 4 * 1024 * 1024  # events are short; whatever follows the last one belongs to nobody
MAX_EVENTS = 10_000
_SAYS = 600  # characters of a message kept

_MESSAGE = re.compile(
    r"The\s{1,20}server\s{1,20}was\s{1,20}unable\s{1,20}to\s{1,20}allocate\s{1,20}from\s{1,20}the\s{1,20}system\s{1,20}"
    r"(?P<pool>Non-?\s?paged|paged)\s{1,20}pool\s{1,20}because\s{1,20}the\s{1,20}pool\s{1,20}was\s{1,20}empty\.?"
    r"|(?P<registry>An\s{1,20}I/O\s{1,20}operation\s{1,20}initiated\s{1,20}by\s{1,20}the\s{1,20}Registry\s{1,20}failed"
    r"\s{1,20}unrecoverably\.?)"
    r"|(?P<exhausted>Windows\s{1,20}successfully\s{1,20}diagnosed\s{1,20}a\s{1,20}low\s{1,20}virtual\s{1,20}memory"
    r"\s{1,20}condition\.?)",
    re.IGNORECASE,
)
_RECORD = re.compile(
    r"Event\s{1,8}Type:|Log\s{1,8}Name:|(?<!Xml:)(?<!Xml:\n)<Event[ >]|^[ ]*[-+][ ]*System[ \x1f]*$", re.MULTILINE
)
_XML_HEAD = re.compile(r"Event\s{1,8}Xml:\s{0,40}\Z", re.IGNORECASE)
_ID = re.compile(
    r"(?:\bEvent\s{0,8}ID\s{0,8}:?|<EventID[^<>\n]{0,40}>|^[ ]*EventID)\s{0,20}(?P<id>2019|2020|2004|333)\b",
    re.IGNORECASE | re.MULTILINE,
)
_SOURCES = {
    2019: r"srv\b",
    2020: r"srv\b",
    333: r"Application\s{1,8}Popup",
    2004: r"(?:Microsoft-Windows-)?Resource-Exhaustion-Detector",
}
_SOURCE = {
    number: re.compile(
        rf"(?:Source\s{{0,8}}:|Provider\s{{1,8}}Name\s{{0,8}}=|\[\s{{0,8}}Name\s{{0,8}}\])\s{{0,20}}[\"']?{source}",
        re.IGNORECASE,
    )
    for number, source in _SOURCES.items()
}
_COMPUTER = re.compile(
    r"(?:\bComputer(?:\s{1,4}Name)?\s{0,8}:[ ]{0,40}|<Computer>\s{0,8}|^[ ]*Computer[ ]{1,40})(?P<name>[\w.-]{1,255})",
    re.IGNORECASE | re.MULTILINE,
)
# Only the XML form says that its time is UTC; the viewer prints local time
_UTC_TIME = re.compile(
    r"SystemTime(?:\s{0,4}=\s{0,4}|\s{0,4}\]\s{1,20})[\"']?(?P<date>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})"
    r"(?:\.(?P<fraction>\d{1,6})\d{0,6})?Z",
    re.IGNORECASE,
)
_DESCRIPTION = re.compile(r"Description\s{0,8}:\s{0,20}(?P<text>[^\n<]{1,600})", re.IGNORECASE)
_SYSTEM_FIGURE = re.compile(
    r"<?\b(?P<name>SystemCommitLimit|SystemCommitCharge|ProcessCommitCharge|PagedPoolUsage|PhysicalMemorySize"
    r"|PhysicalMemoryUsage|NonPagedPoolUsage)>?\s{1,20}(?P<value>\d{1,20})\b"
    r"|<(?P<tag>SystemCommitLimit|SystemCommitCharge|PagedPoolUsage|NonPagedPoolUsage)>(?P<content>\d{1,20})<"
)
# A blank line ends a message behind a full stop; elsewhere it is a double spaced copy's
_MESSAGE_END = re.compile(
    r"(?<=[.!?])[ \x1f]*\n[ \x1f]*\n|(?:\n[ \x1f]{0,8}){3}|\n[ ]*(?:Event\s{1,8}Xml:|Data:|For more information)|<"
)


class _Events(BufferedOutput):
    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._left = MAX_CHARS

    def feed(self, text: str, line: int) -> None:
        """Keep the beginning only."""
        if self._left > 0:
            super().feed(text[: self._left], line)
            self._left -= len(text)

    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact for each event."""
        count = 0
        for start, end in _records(block.text):
            for fact in _events(block, start, end):
                count += 1
                if count > MAX_EVENTS:
                    return
                yield fact


def _records(text: str) -> Iterator[tuple[int, int]]:
    """The text cut before each record's first line; the XML that follows a viewer's text belongs to it."""
    start = 0
    for match in _RECORD.finditer(text):
        if match.group().startswith("<") and _XML_HEAD.search(text, max(start, match.start() - 60), match.start()):
            continue
        if match.start() > start:
            yield start, match.start()
        start = match.start()
    yield start, len(text)


def _events(block: Block, start: int, end: int) -> Iterator[EventText]:
    text = block.text
    messages = list(_MESSAGE.finditer(text, start, end))
    number = _ID.search(text, start, end)
    event_id = int(number["id"]) if number else None
    if messages:
        # The rendered text can stand twice in one record: as its description and inside its XML
        once = {_message_id(message): message for message in reversed(messages)} if number else None
        chosen = sorted(once.values(), key=re.Match.start) if once else messages
        for message in chosen:
            yield _fact(block, start, end, message.start(), _message_id(message), _sentence(text, message, end), chosen)
    elif number and event_id is not None and _SOURCE[event_id].search(text, start, end):
        description = _DESCRIPTION.search(text, start, end)
        says = " ".join(description["text"].split()) if description else _figures(text, start, end)
        yield _fact(block, start, end, number.start(), event_id, says or f"Event ID {event_id}", [number])


def _fact(
    block: Block, start: int, end: int, at: int, event_id: int, says: str, events: list[re.Match[str]]
) -> EventText:
    # Where one header stands above several messages, nothing says which of them it belongs to
    alone = len(events) == 1
    computer = _COMPUTER.search(block.text, start, end) if alone else None
    return EventText(
        where=block.where(at),
        live=block.context.live,
        command=block.context.command,
        event_id=event_id,
        says=says,
        computer=computer["name"] if computer else None,
        logged_at=_logged_at(_UTC_TIME.search(block.text, start, end)) if alone else None,
    )


def _message_id(message: re.Match[str]) -> int:
    if message["registry"]:
        return 333
    if message["exhausted"]:
        return 2004
    return 2019 if message["pool"].lower().startswith("non") else 2020


def _sentence(text: str, message: re.Match[str], end: int) -> str:
    """The message up to the end of its paragraph: 2004 names the programs in its second sentence."""
    limit = min(end, message.start() + _SAYS)
    stop = _MESSAGE_END.search(text, message.end(), limit)
    if message["pool"]:
        return " ".join(message.group().split())
    return " ".join(text[message.start() : stop.start() if stop else limit].split())


def _figures(text: str, start: int, end: int) -> str:
    """What the friendly view of 2004 says, which prints figures and no message."""
    figures: dict[str, str] = {}
    for match in _SYSTEM_FIGURE.finditer(text, start, end):
        figures.setdefault(match["name"] or match["tag"], match["value"] or match["content"])
    return ", ".join(f"{name} {value}" for name, value in figures.items())


def _logged_at(match: re.Match[str] | None) -> datetime | None:
    if match is None:
        return None
    try:
        logged = datetime.fromisoformat(match["date"]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return logged.replace(microsecond=int((match["fraction"] or "0").ljust(6, "0")))


class _Reader:
    name = "events"
    banners = ()
    rows = (
        r"Event\s+Type:\s*(?:Error|Warning|Information)",
        r"Log\s+Name:\s*System",
        r"<Event[ >]",
        r"[-+][ ]*System\s{1,40}[-+][ ]*Provider",
        r"Event\s*ID:\s*(?:2019|2020|2004|333)\b",
        r"(?:(?:Description|Message)\s*:\s*)?[\"']?(?:The\s+server\s+was\s+unable\s+to\s+allocate\s+from\s+the\s+system"
        r"|An\s+I/O\s+operation\s+initiated\s+by\s+the\s+Registry|Windows\s+successfully\s+diagnosed\s+a\s+low\s)",
    )

    def open(self, context: Context) -> Output:
        """Begin one or several events."""
        return _Events(context)


READER = _Reader()

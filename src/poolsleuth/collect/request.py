"""What is to be collected, for how long and on which Windows: checked values, and what that Windows can do.

Everything that later stands in a command line is checked here, by lists of what is allowed: a folder, a host name or
a tag that passes cannot end a command, open a quote or expand a variable in cmd.exe or PowerShell.
"""

import re
from dataclasses import dataclass

from poolsleuth.windows.builds import WindowsVersion

MINUTE = 60
HOUR = 3600
DAY = 24 * HOUR

SHORTEST_INTERVAL = 1
LONGEST_INTERVAL = HOUR
SHORTEST_DURATION = MINUTE
LONGEST_DURATION = 90 * DAY
SAMPLES_FOR_A_DAY = 288  # one sample in five minutes, as in the procedure that Microsoft's debugging team published
_FOR_MINUTES = 30  # minutes below which one sample a minute would be too few
FEWEST_SAMPLES = 12  # fewer cannot tell growth from a wave

SMALLEST_LOG_MB = 10
LARGEST_LOG_MB = 1000  # weeks at five minutes; what is larger is hard to send
# 42 KB in a real log of whole objects with 51 processes; a busy server has three to four times as many
SAMPLE_KB_GUESS = 150

MAX_TAGS = 4  # "start", Windows Performance Toolkit: at most four filters; "PoolTags", WPR schema: the same
MAX_FOLDER = 120  # characters; the names of the files are added, and the whole may have 260

_SPAN = re.compile(r"(\d{1,7})\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)?", re.ASCII | re.IGNORECASE)
_SPAN_UNITS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_FOLDER = re.compile(r"[A-Za-z]:(?:\\[A-Za-z0-9_][A-Za-z0-9_ .-]*)+", re.ASCII)
# Names that stand for devices in every folder of Windows
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.ASCII | re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)


def read_span(text: str) -> int:
    """Seconds of a time such as "90s", "5min", "24h", "7d" or "2w"; a bare number is seconds.

    Raises ValueError, with a sentence that says how to write it, for anything else, and for zero.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a time: write a number with a unit, such as 30s, 5min, 24h or 7d.")
    seconds = int(found[1]) * _SPAN_UNITS[(found[2] or "s")[0].lower()]
    if seconds == 0:
        raise ValueError(f"{text!r} must be longer than 0.")
    return seconds


def span_text(seconds: int) -> str:
    """Seconds in the largest unit that gives a whole number: "5 min", "24 h", "14 days"."""
    for size, unit in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if seconds % size == 0 and seconds >= (2 * DAY if size == DAY else size):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def check_folder(text: str) -> str:
    r"""A folder on a disk of the Windows machine, such as ``C:\PoolLogs``, without a backslash at its end.

    Raises ValueError for what is not absolute, for a network path (the collectors run as a service without rights
    there) and for characters that mean something to a command prompt.
    """
    folder = text.rstrip("\\") if len(text) > 3 else text
    parts = folder.split("\\")[1:]
    bad = any(part.endswith((" ", ".")) or _DEVICE.fullmatch(part) for part in parts)
    if not _FOLDER.fullmatch(folder) or bad or len(folder) > MAX_FOLDER:
        raise ValueError(
            f"{text!r} cannot be the folder on the server: give a full path on one of its disks, made of letters, "
            "digits, blanks and - _ . only, such as C:\\PoolLogs."
        )
    return folder


def check_host(text: str) -> str:
    r"""A computer name, without the two backslashes that may stand before it. Raises ValueError for anything else."""
    host = text.removeprefix("\\\\")
    if not _HOST.fullmatch(host):
        raise ValueError(f"{text!r} is not a computer name: give a name such as SERVER1 or server1.example.com.")
    return host


def check_tag(text: str) -> str:
    """A pool tag as typed: one to four printable ASCII characters. Raises ValueError for anything else."""
    if not 1 <= len(text) <= 4 or not all(" " <= character <= "~" for character in text) or not text.strip():
        raise ValueError(f"{text!r} is not a pool tag: a tag has one to four printable ASCII characters, such as MmSt.")
    return text


def tag_filter(tag: str) -> str:
    """The filter that a trace is given for a tag: letters, digits and _ as they are, ``?`` for each other character.

    ``?`` is the tools' own sign for any one character ("start", Windows Performance Toolkit), so the trace holds the
    tag and perhaps a few others, and no character is left that separates filters (+ ;) or speaks to a command prompt.
    A shorter tag is filled up, because the fourth character of Io is a blank.
    """
    return "".join(character if character.isalnum() or character == "_" else "?" for character in tag.ljust(4))


@dataclass(frozen=True, slots=True)
class Request:
    """What to collect. All values are checked (see the functions above); ``windows`` None: Windows 7 or later."""

    windows: WindowsVersion | None
    duration: int  # seconds
    interval: int  # seconds between two samples of the counters
    max_mb: int  # of the circular log, and of the trace
    folder: str  # on the Windows machine
    remote: str | None = None
    tags: tuple[str, ...] = ()
    poolmon: bool = True
    counters: bool = True

    @property
    def samples(self) -> int:
        """How many samples the counters will have."""
        return self.duration // self.interval

    @property
    def snapshot_interval(self) -> int:
        """Seconds between two snapshots of poolmon: as the counters, but not below a minute (each lists every tag)."""
        return max(self.interval, MINUTE)

    @property
    def snapshots(self) -> int:
        """How many snapshots of poolmon are taken: the last pause may end a little after the duration."""
        return -(-self.duration // self.snapshot_interval)

    @property
    def host(self) -> str:
        """The name of the machine as it stands in file names: its own variable, unless it is another machine."""
        return self.remote or "%COMPUTERNAME%"

    @property
    def log_folder(self) -> str:
        """The folder as this command prompt reaches it: on another machine by its administrative share."""
        if self.remote is None:
            return self.folder
        return rf"\\{self.remote}\{self.folder[0]}${self.folder[2:]}"

    @property
    def counter_log(self) -> str:
        """The counter log. Windows adds the time of the start to the name (-v mmddhhmm)."""
        return rf"{self.folder}\{self.host}_pool.blg"

    @property
    def poolmon_log(self) -> str:
        """The text file that gathers the snapshots of poolmon."""
        return rf"{self.folder}\{self.host}_poolmon.log"

    @property
    def trace_file(self) -> str:
        """The trace of the tags, complete only after the stop command."""
        return rf"{self.folder}\{self.host}_pool.etl"

    @property
    def build(self) -> int:
        """The build number, of Windows 7 where no Windows was named."""
        return 7600 if self.windows is None else self.windows.build

    @property
    def has_logman(self) -> bool:
        """Windows 2000 has no logman: it came with Windows XP."""
        return self.build > 2195

    @property
    def is_old(self) -> bool:
        """Windows before Vista, whose logman wants an interval in square brackets."""
        return self.build < 6000

    @property
    def has_powershell(self) -> bool:
        """Whether PowerShell is part of the installation: since Windows 7 and Server 2008 R2."""
        return self.build >= 7600

    @property
    def has_pool_trace(self) -> bool:
        """Whether the kernel can trace the pool: since Windows 7 and Server 2008 R2."""
        return self.build >= 7600

    @property
    def has_wpr(self) -> bool:
        """Whether wpr can run ("WPR command-line options": Windows 8.1 or later); also where no Windows was named."""
        return self.windows is None or self.build >= 9600

    @property
    def windows_name(self) -> str:
        """The Windows as a person names it."""
        return "Windows 7 / Server 2008 R2 or later" if self.windows is None else self.windows.name


def usual_interval(duration: int) -> int:
    """Seconds between samples when none are asked for: one minute for hours, five for a day or more.

    Below half an hour it is shorter, so that there are thirty samples.
    """
    if duration < _FOR_MINUTES * MINUTE:
        return max(duration // _FOR_MINUTES, 1)
    return min(max(duration // SAMPLES_FOR_A_DAY // MINUTE, 1), 5) * MINUTE


def check(request: Request) -> Request:
    """The request itself. Raises ValueError, with one sentence, when its parts do not go together."""
    if not SHORTEST_DURATION <= request.duration <= LONGEST_DURATION:
        raise ValueError("--for must lie between one minute and 90 days, such as 4h, 24h or 7d.")
    if not SHORTEST_INTERVAL <= request.interval <= LONGEST_INTERVAL:
        raise ValueError("--interval must lie between one second and one hour, such as 30s or 5min.")
    if request.samples < FEWEST_SAMPLES:
        raise ValueError(
            f"--interval {span_text(request.interval)} gives {request.samples} samples in "
            f"{span_text(request.duration)}, too few to tell growth from a wave: take at least {FEWEST_SAMPLES}."
        )
    if not SMALLEST_LOG_MB <= request.max_mb <= LARGEST_LOG_MB:
        raise ValueError(f"--max-size must lie between {SMALLEST_LOG_MB}MB and {LARGEST_LOG_MB}MB.")
    if len(request.tags) > MAX_TAGS:
        raise ValueError(f"a trace takes at most {MAX_TAGS} tags, not {len(request.tags)}.")
    unnamed = [tag for tag in request.tags if not tag_filter(tag).strip("?")]
    if unnamed:
        raise ValueError(
            f"{unnamed[0]!r} cannot be traced alone: no letter, digit or _ in it tells it from other tags."
        )
    if request.tags and not request.has_pool_trace:
        raise ValueError(
            f"{request.windows_name} cannot trace its pool; Windows 7 and Server 2008 R2 or later can: leave out --tag."
        )
    if request.tags and request.remote is not None:
        raise ValueError(f"a trace is started on the machine itself: run it on {request.remote}, or leave out --tag.")
    if request.remote is not None and not request.has_logman:
        raise ValueError("Windows 2000 has no logman that would take a command from here: leave out --remote.")
    if request.remote is not None and not request.counters:
        raise ValueError("nothing is left to collect: only counters can be collected with --remote.")
    if not (request.counters or request.poolmon or request.tags):
        raise ValueError("nothing is left to collect: leave out --no-counters or --no-poolmon, or give --tag.")
    return request

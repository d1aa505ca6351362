"""Names of objects and counters by number, as the records of kind 0x24 hold them, one table per machine."""

from poolsleuth.evidence.counters.blg.text import clean, host_name

MAX_TITLES = 500_000  # of all machines together: one machine has 2,000 to 20,000
MAX_TITLE = 512  # characters
LAST_BASE = 1847  # numbers up to here mean the same on every Windows (its own index 1 says so)

# The counters of this diagnosis, for logs whose titles are lost
_BASE = {
    2: "System",
    4: "Memory",
    24: "Available Bytes",
    26: "Committed Bytes",
    30: "Commit Limit",
    56: "Pool Paged Bytes",
    58: "Pool Nonpaged Bytes",
    60: "Pool Paged Allocs",
    64: "Pool Nonpaged Allocs",
    66: "Pool Paged Resident Bytes",
    230: "Process",
    234: "PhysicalDisk",
    236: "LogicalDisk",
    238: "Processor",
    248: "Processes",
    250: "Threads",
    674: "System Up Time",
    678: "Free System Page Table Entries",
    680: "Thread Count",
    684: "Elapsed Time",
    784: "ID Process",
    952: "Handle Count",
}


class Titles:
    """The titles of all machines of a log. ``generation`` grows when names are added."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[int, str]] = {}
        self._count = 0
        self.generation = 0

    def add(self, data: bytes) -> None:
        """Take a titles record: the machine's name, then numbers and names in turn, each with a NUL."""
        parts = data[: len(data) & ~1].decode("utf-16-le", errors="replace").split("\0")
        table = self._tables.setdefault((host_name(clean(parts[0])) or "").casefold(), {})
        self.generation += 1
        for number, name in zip(parts[1::2], parts[2::2], strict=False):
            if self._count >= MAX_TITLES:
                return
            if len(number) <= 9 and number.isascii() and number.isdigit() and name:
                table[int(number)] = clean(name[:MAX_TITLE])
                self._count += 1

    def name(self, host: str | None, number: int) -> str | None:
        """The name of an object or a counter; None when it is not known."""
        own = self._tables.get((host or "").casefold())
        if own is not None and number in own:
            return own[number]
        if number <= LAST_BASE:
            for table in self._tables.values():
                if number in table:
                    return table[number]
        return _BASE.get(number)

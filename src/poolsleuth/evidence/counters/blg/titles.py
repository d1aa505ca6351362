"""Names of objects and counters by number, as the records of kind 0x24 hold them, one table per machine."""

from poolsleuth.evidence.counters.blg.text import clean, host_name

MAX_TITLES = 500_000  # of all machines together: one machine has 2,000 to 20,000
MAX_TITLE = 512  # characters
LAST_BASE = 1847  # numbers up to here mean the same on every Windows (its own index 1 says so)

# What this diagnosis needs, for logs whose titles are lost or in another language. The numbers were read from the
# titles of a real log of Windows Vista.
_BASE = {
    2: "System",
    4: "Memory",
    6: "% Processor Time",
    24: "Available Bytes",
    26: "Committed Bytes",
    30: "Commit Limit",
    56: "Pool Paged Bytes",
    58: "Pool Nonpaged Bytes",
    60: "Pool Paged Allocs",
    64: "Pool Nonpaged Allocs",
    66: "Pool Paged Resident Bytes",
    150: "System Calls/sec",
    212: "Disk Transfers/sec",
    218: "Disk Bytes/sec",
    230: "Process",
    234: "PhysicalDisk",
    236: "LogicalDisk",
    238: "Processor",
    248: "Processes",
    250: "Threads",
    252: "Events",
    254: "Semaphores",
    256: "Mutexes",
    258: "Sections",
    260: "Objects",
    314: "Server Sessions",
    330: "Server",
    358: "Work Item Shortages",
    362: "Files Open",
    370: "Pool Nonpaged Failures",
    376: "Pool Paged Failures",
    388: "Bytes Total/sec",
    400: "Packets/sec",
    406: "File Data Operations/sec",
    510: "Network Interface",
    638: "TCPv4",
    642: "Connections Established",
    674: "System Up Time",
    678: "Free System Page Table Entries",
    680: "Thread Count",
    684: "Elapsed Time",
    784: "ID Process",
    952: "Handle Count",
    1300: "Server Work Queues",
    1304: "Active Threads",
    1312: "Work Item Shortages",
    1332: "Total Operations/sec",
    1380: "Available KBytes",
    1382: "Available MBytes",
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


def english_name(number: int) -> str | None:
    """The English name, in lower case, of a base number that the diagnosis needs; None for any other."""
    name = _BASE.get(number)
    return name.lower() if name is not None else None

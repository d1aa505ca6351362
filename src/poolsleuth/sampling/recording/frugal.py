"""Settings for a process that records: a server that leaks pool has no memory to spare."""

import os

SETTINGS = {
    "POLARS_MAX_THREADS": "1",  # each thread has memory of its own, and merging has the time to wait
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0",  # what polars frees goes back to the system at once
    "MIMALLOC_PURGE_DELAY": "0",  # the same on Windows
}


def keep_small() -> None:
    """Keep the memory of this process small. To be called before polars is imported; what the user has set stays."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)

"""The shape of a note on a pool tag."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What kind of memory stands under a tag, which decides how its growth is read."""

    GENERIC = "generic"  # a default shared by drivers that set no tag of their own: names no driver
    UNTAGGED = "untagged"  # taken without a tag
    OBJECT = "object"  # the body of a kernel object: many of them are a handle or reference leak
    OBJECT_PART = "object-part"  # hangs on an object and follows its number: the victim, not the cause
    CACHE = "cache"  # follows the files in use or in the cache: large without being a leak
    CONTIGUOUS = "contiguous"  # physically contiguous memory or DMA buffers
    IO = "io"  # as much as requests are under way
    NETWORK = "network"  # follows sockets, connections, packets, remote files
    SESSION = "session"  # belongs to a logged-on session: window manager, GDI, Remote Desktop
    REGISTRY = "registry"  # follows loaded hives and open keys
    TRACING = "tracing"  # trace sessions, WMI, performance counters
    POOL = "pool"  # the pool's own tables
    VERIFIER = "verifier"  # there only while Driver Verifier or another tracking is on
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TagNote:
    """What is known of a tag or a family of tags, in our own words.

    ``pattern`` is an exact tag (1-4 characters, trailing blanks stripped), or one with ``?`` (any one
    character) or ``*`` (the rest). ``binary`` is None where several drivers share the tag, or where it
    is not known whose it is. ``since`` is the first Windows that uses the tag for this; None: not sure,
    or always.
    """

    pattern: str
    component: str
    holds: str
    growth: str
    next_step: str
    binary: str | None
    role: Role
    since: str | None = None

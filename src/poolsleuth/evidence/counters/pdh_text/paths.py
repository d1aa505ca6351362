r"""The text of one counter path: ``\\HOST\Object(parent/instance#n)\Counter``, host and instance may be missing."""

from sys import intern

from poolsleuth.model.series import CounterPath


def counter_path(text: str) -> CounterPath | None:
    r"""A counter path; None when the text is none.

    An instance may hold parentheses and backslashes (``SMB Client Shares(\server\share)``), and so may a counter hold
    parentheses (``I/O Database Reads (Attached)``), but no backslash: it begins after the last one. Brackets, which
    Windows writes for an instance's own parentheses (``intel[r] ethernet``), are left as they stand: a .blg of the
    same counters has them too.
    """
    text = text.strip()
    host = None
    if text.startswith("\\\\"):
        host, _, rest = text[2:].partition("\\")
        if not host:
            return None
    elif text.startswith("\\"):
        rest = text[1:]
    else:
        return None
    first = rest.find("\\")
    open_at = _instance_at(rest)
    if 0 <= open_at < first:
        close_at = rest.rfind(")\\")
        if close_at < open_at:
            return None
        object_, instance, counter = rest[:open_at], rest[open_at + 1 : close_at], rest[close_at + 2 :]
    else:
        object_, instance, counter = rest[:first] if first >= 0 else "", None, rest[first + 1 :]
    object_, counter = object_.strip(), counter.strip()
    if not object_ or not counter:
        return None
    # A header names few hosts, objects and counters, but each of them many times
    return CounterPath(host if host is None else intern(host), intern(object_), instance, intern(counter))


def _instance_at(text: str) -> int:
    """Where the instance's parenthesis opens; -1 without one. After a blank it belongs to the object's name."""
    at = text.find("(")
    while at > 0 and text[at - 1] == " ":
        following = text.find("(", at + 1)
        if following < 0:
            break
        at = following
    return at

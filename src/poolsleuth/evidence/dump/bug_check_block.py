"""The pool block that a bug check speaks of: its tag, out of the parameters or the header in the dump's memory."""

from poolsleuth.kernel.crash_dump.header import DumpHeader
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.bugcheck_blocks import Names, named_block

_TAG_AT = 4  # bytes from the start of a block's header, in all versions since XP
_WITHOUT_PROTECTED = 0x7FFF_FFFF  # bit 31 says that the block may only be freed with its tag
_PRINTABLE = range(0x20, 0x7F)


def bug_check_tag(header: DumpHeader, kernel: Kernel | None) -> str | None:
    """The tag of the block that the bug check names; None when it names none, or the tag cannot be one.

    A damaged header may hold anything: only a tag that can be printed is given.
    """
    parameters = header.bugcheck_parameters
    if not header.bugcheck_code or parameters is None:
        return None
    named = named_block(header.bugcheck_code, parameters[0], header.build or 0)
    if named is None:
        return None
    value = parameters[named.parameter]
    if named.names is not Names.TAG:
        if kernel is None or not value:
            return None
        size = 2 * kernel.pointer_size if named.names is Names.BLOCK else 0
        found = kernel.memory.number(value - size + _TAG_AT, 4)
        if found is None:
            return None
        value = found
    key = value & _WITHOUT_PROTECTED
    letters = key.to_bytes(4, "little")
    return tag_text(key) if letters.strip() and all(byte in _PRINTABLE for byte in letters) else None

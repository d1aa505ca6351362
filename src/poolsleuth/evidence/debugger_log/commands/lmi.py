"""``!lmi``: one module by an address inside it or by its name."""

import re
from collections.abc import Iterable

from poolsleuth.evidence.debugger_log.output import Block, BufferedOutput, Context, Output, address_bits
from poolsleuth.model.facts import Fact
from poolsleuth.model.modules import Module, ModuleList

_BANNER = r"Loaded\s+Module\s+Info\s*:\s*\["
# A value may be wrapped into the next line, but what looks like the next label or a mark of omission is none
_VALUE = r"[ ]*:[ ]*(?:\x1f?\n[ ]*)?(?P<value>(?![A-Z][A-Za-z ]{1,30}:[ ]|<+ ?snip|\.{3})\S[^\n]{0,500})"


def _field(label: str, value: str = _VALUE) -> re.Pattern[str]:
    return re.compile(rf"(?:^|\n)[ #*]*+{label}{value}", re.IGNORECASE)


_MODULE = _field("Module")
_BASE = _field(r"Base\s+Address", r"[ ]*:\s{0,8}(?P<value>(?:0x)?[0-9a-fA-F]{8,16})\b")
_IMAGE = _field(r"Image\s+Name")
_TIME = _field(r"Time\s+Stamp")
_SIZE = _field("Size", r"[ ]*:\s{0,8}(?P<value>(?:0x)?[0-9a-fA-F]{1,8})\b")


class _ModuleInfo(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """The module, when the output names one."""
        if block.context.user_mode:
            return
        text = block.text
        name, image = _value(_MODULE, text), _value(_IMAGE, text)
        base, size = _BASE.search(text), _SIZE.search(text)
        if name is None and image is None:
            return
        start = int(base.group("value"), 16) if base else None
        file = image.replace("/", "\\").rsplit("\\", 1)[-1] if image else None
        yield ModuleList(
            where=block.where(0),
            live=block.context.live,
            command=block.context.command,
            address_bits=address_bits(base.group("value")) if base else None,
            modules=(
                Module(
                    name=name or (file or "").rsplit(".", 1)[0],
                    start=start,
                    end=start + int(size.group("value"), 16) if start is not None and size else None,
                    where=block.where(0),
                    image=file,
                    path=image if image != file else None,
                    timestamp=_value(_TIME, text),
                ),
            ),
        )


def _value(field: re.Pattern[str], text: str) -> str | None:
    found = field.search(text)
    return found.group("value").strip(" \x1f") if found else None


class _Reader:
    name = "!lmi"
    banners = (_BANNER,)
    rows = ()

    def open(self, context: Context) -> Output:
        """Begin the description of a module."""
        return _ModuleInfo(context)


READER = _Reader()

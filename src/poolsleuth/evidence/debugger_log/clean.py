"""Takes the damage out of pasted text without losing a figure: section 0 of what transcripts look like.

Every step is guarded by a cheap test of the whole piece, so that a clean log costs next to nothing. Line feeds that
cleaning adds are ``SOFT`` ones: they end a line for the readers, but do not count when a place is reported.
"""

import html
import re

SOFT = "\x1f\n"

_SPACES = dict.fromkeys([0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000, 0x09, 0x0B, 0x0C], " ")
_NOTHING = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0xAD, 0x00, 0x1A], "")
_LOOKALIKES = {
    0x2018: "'",
    0x2019: "'",
    0x201A: "'",
    0x2032: "'",
    0x201C: '"',
    0x201D: '"',
    0x201E: '"',
    0x2033: '"',
    0x00D7: "x",
    0x2026: "...",
    0x2010: "-",
    0x2011: "-",
    0x2012: "-",
    0x2013: "-",
    0x2014: "-",
    0x2015: "-",
    0x2212: "-",
    0xFF1A: ":",
    0xFF08: "(",
    0xFF09: ")",
}
_TRANSLATION = {**_SPACES, **_NOTHING, **_LOOKALIKES}
# Text that was UTF-8, was read as cp1252 (or Latin-1) somewhere on its way, and was saved again
_MOJIBAKE_MARKS = ("\u00c2", "\u00c3", "\u00e2")
_MOJIBAKE_RUN = re.compile("[\u0080-\uffff]+")
_MOJIBAKE_LOST = re.compile("\u00c2(?=[ ])")  # of an NBSP, when its second half became a blank
_MOJIBAKE_TIMES = 3  # a text may have taken that way more than once
_CP1252 = {bytes([byte]).decode("cp1252", errors="ignore") or chr(byte): byte for byte in range(128, 256)}

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]{0,16}[A-Za-z]|\][^\x07\x1b\n]{0,200}(?:\x07|\x1b\\)?)")
_RETURNS = re.compile(r"\r+\n")
# A mail quote stands at column 0; behind a blank only with a blank after it, or it is the tag ">abc" of a table
_QUOTES = re.compile(r"^(?:(?:>[ ]?)+|[ ](?:>[ ])+)", re.MULTILINE)
# Three and more lines with the same comment sign are a quoted log; one or two may be a heading or a bullet
_COMMENTS = re.compile(r"^(#|//|;|\*)(?:[ ][^\n]*)?\n(?:\1(?:[ ][^\n]*)?\n){2,}", re.MULTILINE)
_COMMENT_SIGNS = ("\n# ", "\n// ", "\n; ", "\n* ")
_LINE_TICKS = re.compile(r"^([ ]*)`+|`+(?=[ ]*$)", re.MULTILINE)
_BLOCK_TAGS = re.compile(r"<\s*(?:br|/p|/div|/tr|/li|/pre|/h[1-6]|hr)\b[^<>\n]{0,200}>(?P<end>\n?)", re.IGNORECASE)
_INLINE_TAGS = re.compile(
    r"</?\s*(?:p|div|span|pre|code|td|th|tr|table|tbody|thead|b|i|u|em|strong|font|a|ul|ol|li|blockquote|tt|samp|kbd"
    r"|h[1-6]|body|html|head|section|article|sup|sub)\b[^<>\n]{0,300}>",
    re.IGNORECASE,
)
_CELL_TAGS = re.compile(r"</\s*(?:td|th)\s*>", re.IGNORECASE)
_ENTITY = re.compile(
    r"&(?:nbsp|lt|gt|amp|quot|apos|hellip|ndash|mdash|[lr][sd]quo|#\d{1,6}|#x[0-9a-f]{1,6});?", re.IGNORECASE
)
_ESCAPED = re.compile(r"\\([*_`#\[\]()<>~|.!+-])")
_ADDRESS_TICK = re.compile(r"(?<![0-9a-fA-F])((?:0x)?[0-9a-fA-F]{8})[`']([0-9a-fA-F]{8})(?![0-9a-fA-F])")
_PIPES = re.compile(r"^[ ]*\|(?:[^|\n]*\|){2,}[^\n]*$", re.MULTILINE)


def clean(text: str) -> str:
    """The same text with its damage repaired. Figures, tags and the number of hard line feeds stay as they are."""
    if "\r" in text:
        text = _RETURNS.sub("\n", text).replace("\r", SOFT)
    if "\x1b" in text:
        text = _COLOURS.sub("", text)
    if not text.isascii():
        if "\u00c2" in text or "\u00e2\u20ac" in text:
            text = _MOJIBAKE.sub(lambda m: _MOJIBAKE_WORDS.get(m.group()[2:], "'") if len(m.group()) > 1 else "", text)
        text = text.translate(_TRANSLATION)
    elif "\t" in text or "\x0c" in text or "\x00" in text or "\x1a" in text or "\x0b" in text:
        text = text.translate(_TRANSLATION)
    if "<" in text:
        text = _BLOCK_TAGS.sub(lambda m: "\n" if m.group("end") else SOFT, text)
        text = _INLINE_TAGS.sub("", _CELL_TAGS.sub(" ", text))
    if "&" in text:
        text = _ENTITY.sub(lambda m: html.unescape(m.group()).translate(_TRANSLATION), text)
    if ">" in text:
        text = _QUOTES.sub("", text)
    if any(sign in text for sign in _COMMENT_SIGNS):
        text = _COMMENTS.sub(lambda m: _uncommented(m.group(), len(m.group(1))), text)
    if "\\" in text:
        text = _ESCAPED.sub(r"\1", text)
    if "`" in text or "'" in text:
        text = _ADDRESS_TICK.sub(r"\1\2", text)
        text = _LINE_TICKS.sub(r"\1", text)
    if "|" in text:
        text = _PIPES.sub(lambda m: m.group().replace("|", " "), text)
    return text


def _uncommented(run: str, sign: int) -> str:
    return "".join(line[sign:] for line in run.splitlines(keepends=True))


def hard_lines(text: str) -> int:
    """How many lines of the original end in this text (soft line feeds do not count)."""
    return text.count("\n") - text.count(SOFT)

"""The keys of the screen: one table from which the screen, its help and the documentation are made."""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What a key does."""

    SORT_TAG = "sort by tag"
    SORT_ALLOCS = "sort by allocations"
    SORT_FREES = "sort by frees"
    SORT_DIFF = "sort by difference"
    SORT_BYTES = "sort by bytes"
    SORT_EACH = "sort by bytes per allocation"
    BY_CHANGE = "sort by value or by change"
    POOLS = "choose the pools"
    SESSIONS = "system pools or session pools"
    SESSION = "one session"
    ASK_SESSION = "ask for a session"
    HIGHLIGHT = "highlight changed lines"
    TOTALS = "totals"
    HELP = "help"
    QUIT = "quit"
    CLOSE = "close or quit"
    PROMPT = "search, include, exclude"
    EXCLUDE = "leave tags out"
    CLEAR = "show everything again"
    LEFT = "sort by the column to the left"
    RIGHT = "sort by the column to the right"
    REVERSE = "turn the order round"
    MARK = "set the mark"
    UNMARK = "clear the mark"
    PAUSE = "pause or go on"
    BACK = "a step back"
    FORWARD = "a step forward"
    FASTER = "faster"
    SLOWER = "slower"
    JUMP = "jump to a time"
    EXPORT = "write to a file"
    DETAIL = "detail of the tag"
    UP = "line up"
    DOWN = "line down"
    PAGE_UP = "page up"
    PAGE_DOWN = "page down"
    FIRST = "first line"
    LAST = "last line"


class Group(StrEnum):
    """Under which heading a key is explained."""

    POOLMON = "As in poolmon"
    MORE = "Besides"
    TIME = "Time"
    MOVE = "Lines"


@dataclass(frozen=True, slots=True)
class Key:
    """``keys`` are characters in lower case, or textual's names of keys that are none; ``shown`` is what to press."""

    keys: tuple[str, ...]
    shown: str
    action: Action
    group: Group
    says: str


KEYS: tuple[Key, ...] = (
    Key(("p",), "p", Action.POOLS, Group.POOLMON, "nonpaged pool, paged pool, both"),
    Key(("(", ")"), "( )", Action.BY_CHANGE, Group.POOLMON, "sort by value, or by change since the last sample"),
    Key(("t",), "t", Action.SORT_TAG, Group.POOLMON, "sort by tag"),
    Key(("a",), "a", Action.SORT_ALLOCS, Group.POOLMON, "sort by allocations"),
    Key(("f",), "f", Action.SORT_FREES, Group.POOLMON, "sort by frees"),
    Key(("d",), "d", Action.SORT_DIFF, Group.POOLMON, "sort by difference: allocations that were not freed"),
    Key(("b",), "b", Action.SORT_BYTES, Group.POOLMON, "sort by bytes"),
    Key(("m",), "m", Action.SORT_EACH, Group.POOLMON, "sort by bytes per allocation"),
    Key(("s",), "s", Action.SESSIONS, Group.POOLMON, "system pools, or the pools of all sessions"),
    Key(tuple("0123456789"), "0-9", Action.SESSION, Group.POOLMON, "the pools of one session"),
    Key(("i",), "i", Action.ASK_SESSION, Group.POOLMON, "ask for a session number; Enter alone: all sessions"),
    Key(("l",), "l", Action.HIGHLIGHT, Group.POOLMON, "highlight lines that changed, or not"),
    Key(("e",), "e", Action.TOTALS, Group.POOLMON, "totals at the bottom, or not"),
    Key(("h", "?", "f1"), "h ?", Action.HELP, Group.POOLMON, "help"),
    Key(("q",), "q", Action.QUIT, Group.POOLMON, "quit"),
    Key(("escape",), "Esc", Action.CLOSE, Group.POOLMON, "close what is open; if nothing is, quit"),
    Key(
        ("/",), "/", Action.PROMPT, Group.MORE, "search as you type; iMm* shows only such tags, xFile leaves a tag out"
    ),
    Key(("x",), "x", Action.EXCLUDE, Group.MORE, "ask for tags to leave out (* and ?)"),
    Key(("c",), "c", Action.CLEAR, Group.MORE, "show everything again: no search, no pattern, both pools, no session"),
    Key(("<",), "<", Action.LEFT, Group.MORE, "sort by the column to the left"),
    Key((">",), ">", Action.RIGHT, Group.MORE, "sort by the column to the right"),
    Key(("r",), "r", Action.REVERSE, Group.MORE, "turn the order round"),
    Key(("enter",), "Enter", Action.DETAIL, Group.MORE, "all about the tag under the cursor"),
    Key(("w",), "w", Action.EXPORT, Group.MORE, "write what is shown to a file (CSV or Markdown)"),
    Key(("z",), "z", Action.MARK, Group.TIME, "set the mark: changes since then get a column of their own"),
    Key(("u",), "u", Action.UNMARK, Group.TIME, "clear the mark"),
    Key((" ", "space"), "Space", Action.PAUSE, Group.TIME, "pause, go on"),
    Key((".",), ".", Action.FORWARD, Group.TIME, "one sample on, and pause"),
    Key((",",), ",", Action.BACK, Group.TIME, "one sample back, and pause (replay)"),
    Key(("+", "="), "+", Action.FASTER, Group.TIME, "faster (replay)"),
    Key(("-",), "-", Action.SLOWER, Group.TIME, "slower (replay)"),
    Key(("g",), "g", Action.JUMP, Group.TIME, "jump to a time (replay)"),
    Key(("up", "k"), "Up, k", Action.UP, Group.MOVE, "one line up"),
    Key(("down", "j"), "Down, j", Action.DOWN, Group.MOVE, "one line down"),
    Key(("pageup",), "PgUp", Action.PAGE_UP, Group.MOVE, "one page up"),
    Key(("pagedown",), "PgDn", Action.PAGE_DOWN, Group.MOVE, "one page down"),
    Key(("home",), "Home", Action.FIRST, Group.MOVE, "the first line; the cursor stays there"),
    Key(("end",), "End", Action.LAST, Group.MOVE, "the last line"),
)

BRIEF = (("h", "help"), ("/", "search"), ("Enter", "detail"), ("p", "pools"), ("(", "change"), ("<>", "sort"))
BRIEF_TIME = (("Space", "pause"), (",.", "step"), ("+-", "speed"), ("g", "time"))
BRIEF_END = (("z", "mark"), ("w", "write"), ("q", "quit"))

_ACTIONS = {key: entry.action for entry in KEYS for key in entry.keys}


def action_of(key: str, character: str | None) -> Action | None:
    """What a key press means: letters in either case, as in poolmon. None when it means nothing."""
    return _ACTIONS.get(key) or (_ACTIONS.get(character.lower()) if character else None)

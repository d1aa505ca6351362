"""win32k's window manager: windows, input, messages, hooks."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_user = partial(TagNote, component="win32k.sys, the window manager", binary="win32k.sys")

NOTES: tuple[TagNote, ...] = (
    _user(
        pattern="Uspi",
        role=Role.SESSION,
        holds="The window manager's record of a process.",
        growth="One per process with windows; left-overs go with Proc.",
        next_step="`!process 0 0` for ended processes.",
    ),
    _user(
        pattern="Usti",
        role=Role.SESSION,
        holds="The window manager's record of a thread.",
        growth="One per thread with a message queue; left-overs go with Thre.",
        next_step="Find the process with the most such threads.",
    ),
    _user(
        pattern="Ussi",
        role=Role.SESSION,
        holds="Input events given to SendInput.",
        growth="Temporary: follows programs that make input, such as remote control.",
        next_step="Find the remote-control program.",
    ),
    _user(
        pattern="Ussb",
        role=Role.SESSION,
        holds="Screen pieces saved under windows and menus; it is not a USB tag.",
        growth="Short-lived.",
        next_step="Task Manager's USER Objects column.",
    ),
    _user(
        pattern="Usac",
        role=Role.SESSION,
        holds="Accelerator tables (keyboard shortcuts of programs).",
        growth="A program that loads tables again and again.",
        next_step="Task Manager's USER Objects column.",
    ),
    _user(
        pattern="Uscu",
        role=Role.SESSION,
        holds="Cursors and icons.",
        growth=(
            "A program that creates icons and does not destroy them, such as a notification icon that changes often."
        ),
        next_step="Task Manager's USER Objects column.",
    ),
    _user(
        pattern="Uswd",
        role=Role.SESSION,
        holds="Memory of windows beside the desktop heap.",
        growth="Follows open windows.",
        next_step="Task Manager's USER Objects column.",
    ),
    _user(
        pattern="Uswl",
        role=Role.SESSION,
        holds="Lists of windows made while they are enumerated.",
        growth="Short-lived; many mean programs that enumerate windows all the time.",
        next_step="Find the enumerating program.",
    ),
    _user(
        pattern="Usqm",
        role=Role.SESSION,
        holds="Messages queued to windows.",
        growth="Piles up when a program does not take its messages: a hung window that others post to.",
        next_step="Find the hung window's process and its thread stack.",
    ),
    _user(
        pattern="Ussm",
        role=Role.SESSION,
        holds="Messages sent between threads that wait for their answer.",
        growth="Piles up behind a hung window.",
        next_step="Find the hung window's process.",
    ),
    _user(
        pattern="Ushk",
        role=Role.SESSION,
        holds="Registered hot keys.",
        growth="Few.",
        next_step="Nothing by itself.",
    ),
    _user(
        pattern="Ussh",
        role=Role.SESSION,
        holds="Hooks set by programs.",
        growth="A program that sets hooks without removing them.",
        next_step="Task Manager's USER Objects column.",
    ),
    _user(
        pattern="Ustm",
        role=Role.SESSION,
        holds="Window timers.",
        growth="A program that sets timers without killing them.",
        next_step="Task Manager's USER Objects column.",
    ),
    _user(
        pattern="Uscb",
        role=Role.SESSION,
        holds="Data on the clipboard.",
        growth="Follows what was copied last.",
        next_step="Clear the clipboard to test.",
    ),
    _user(
        pattern="Uscl",
        role=Role.SESSION,
        holds="Window classes.",
        growth="A program that registers classes under ever new names.",
        next_step="Look at Atom as well.",
    ),
    _user(
        pattern="Uskb",
        role=Role.SESSION,
        holds="Keyboard layouts.",
        growth="Follows layouts per session.",
        next_step="Nothing by itself.",
    ),
    _user(
        pattern="Us??",
        role=Role.SESSION,
        holds="Some structure of the window manager.",
        growth="Follows programs with windows; a leak is a user program's.",
        next_step="`!poolused 8` in the session; Task Manager's USER Objects column.",
    ),
)

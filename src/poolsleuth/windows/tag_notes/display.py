"""Remote Desktop's drivers, display drivers and the graphics kernel."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_ts = partial(TagNote, component="termdd.sys, rdpwd.sys and rdpdd.dll, Remote Desktop", binary=None)
_video = partial(TagNote, component="display drivers and their ports", binary=None)
_dxg = partial(TagNote, component="dxgkrnl.sys, the graphics kernel", binary="dxgkrnl.sys")
_dxgold = partial(TagNote, component="dxgkrnl.sys, before Vista videoprt.sys", binary=None)
_cdd = partial(TagNote, component="cdd.dll, the canonical display driver", binary="cdd.dll")

NOTES: tuple[TagNote, ...] = (
    _ts(
        pattern="TSic",
        role=Role.SESSION,
        holds="Memory of the terminal server's connection driver.",
        growth="Follows connected clients and their channels; growth means channels that stay open after logoff.",
        next_step="`qwinsta`, and update the terminal server's drivers.",
    ),
    _ts(
        pattern="TSdd",
        role=Role.SESSION,
        holds="Memory of the Remote Desktop display driver.",
        growth="Follows sessions and their screens.",
        next_step="`qwinsta`; `!vm 4` for the sessions.",
    ),
    _ts(
        pattern="TSwd",
        role=Role.SESSION,
        holds="Memory of the Remote Desktop protocol driver.",
        growth="Follows sessions.",
        next_step="`qwinsta`.",
    ),
    _ts(
        pattern="TS??",
        role=Role.SESSION,
        holds="Mostly Remote Desktop (TSNb excepted, which is TCP).",
        growth="Follows sessions and their channels.",
        next_step="`qwinsta`.",
    ),
    _video(
        pattern="Vprt",
        role=Role.OTHER,
        holds="Memory of the video port of display drivers before Vista.",
        growth="Follows displays and mode changes.",
        next_step="Update the display driver.",
    ),
    _video(
        pattern="VidR",
        role=Role.GENERIC,
        holds="What the video port allocated on behalf of a display driver.",
        growth="The cause is the display driver.",
        next_step="Update or replace the display driver.",
    ),
    _video(
        pattern="Nv??",
        role=Role.OTHER,
        holds="NVIDIA display driver.",
        growth="Follows windows, surfaces and video playback; endless growth is the driver's.",
        next_step="Update the display driver; test with the basic display driver.",
    ),
    _dxg(
        pattern="ViMm",
        role=Role.OTHER,
        holds="The video memory manager: allocations and their tracking.",
        growth=(
            "Follows graphics memory of programs: many windows, video, browsers. Growth that stays goes "
            "with a program or display driver that does not free its resources."
        ),
        next_step="Task Manager's GPU columns for the program; update the display driver.",
        since="Vista",
    ),
    _dxg(
        pattern="ViSh",
        role=Role.OTHER,
        holds="The graphics scheduler.",
        growth="Follows graphics contexts.",
        next_step="Task Manager's GPU columns for the program; update the display driver.",
        since="Vista",
    ),
    _dxg(
        pattern="DxgK",
        role=Role.OTHER,
        holds="The graphics kernel: devices, contexts, resources.",
        growth="Follows graphics programs; left-overs of ended programs are a driver fault.",
        next_step="Task Manager's GPU columns for the program; update the display driver.",
        since="Vista",
    ),
    _dxg(
        pattern="vTDR",
        role=Role.OTHER,
        holds="Recovery of a hung graphics processor.",
        growth="Appears after time-outs.",
        next_step="Look for display event 4101; update the display driver.",
        since="Vista",
    ),
    _dxgold(
        pattern="Vi??",
        role=Role.OTHER,
        holds="The graphics kernel since Vista; the video port before.",
        growth="Follows graphics programs.",
        next_step="Task Manager's GPU columns for the program; update the display driver.",
    ),
    _cdd(
        pattern="Dcdd",
        role=Role.SESSION,
        holds="The display driver that draws GDI content for the desktop composition.",
        growth="Follows sessions and screens.",
        next_step="Task Manager's GPU columns for the program; update the display driver.",
        since="Vista",
    ),
)

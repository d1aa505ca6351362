"""win32k's GDI in session pool: bitmaps, regions, fonts and their caches."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_gdi = partial(TagNote, component="win32k.sys, GDI", binary="win32k.sys")

NOTES: tuple[TagNote, ...] = (
    _gdi(
        pattern="Gh?5",
        role=Role.SESSION,
        holds="GDI bitmaps and surfaces.",
        growth=(
            "The usual way to fill session pool: a program that creates bitmaps and does not delete "
            "them, or very many open windows and pictures."
        ),
        next_step="Task Manager's GDI Objects column for the process; `!poolused 8` in the session.",
    ),
    _gdi(
        pattern="Gh?4",
        role=Role.SESSION,
        holds="GDI regions.",
        growth="A program that creates regions and does not delete them.",
        next_step="Task Manager's GDI Objects column.",
    ),
    _gdi(
        pattern="Gh?1",
        role=Role.SESSION,
        holds="GDI device contexts.",
        growth="A program that gets device contexts and does not release them.",
        next_step="Task Manager's GDI Objects column.",
    ),
    _gdi(
        pattern="Gh?8",
        role=Role.SESSION,
        holds="GDI palettes.",
        growth="A program that does not delete palettes.",
        next_step="Task Manager's GDI Objects column.",
    ),
    _gdi(
        pattern="Gh?:",
        role=Role.SESSION,
        holds="GDI logical fonts.",
        growth="A program that creates fonts and does not delete them.",
        next_step="Task Manager's GDI Objects column.",
    ),
    _gdi(
        pattern="Gh?;",
        role=Role.SESSION,
        holds="GDI realised fonts.",
        growth="Follows fonts, sizes and devices in use, printers included.",
        next_step="Look for programs that use very many font sizes.",
    ),
    _gdi(
        pattern="Gh?@",
        role=Role.SESSION,
        holds="GDI brushes and pens.",
        growth="A program that does not delete them.",
        next_step="Task Manager's GDI Objects column.",
    ),
    _gdi(
        pattern="Gh??",
        role=Role.SESSION,
        holds="GDI objects; the last letter names the kind.",
        growth="A program that creates GDI objects and does not delete them, or simply many programs in one session.",
        next_step=(
            "Task Manager's GDI Objects column (limit 10000 per process); `!poolused 8`; on 32-bit "
            "Windows 2000-2003 the session pool itself can be enlarged (SessionPoolSize, KB840342)."
        ),
    ),
    _gdi(
        pattern="Ghmg",
        role=Role.SESSION,
        holds="Objects of the GDI handle manager, on systems before the finer tags.",
        growth="A program that creates GDI objects and does not delete them, or simply many programs in one session.",
        next_step="Task Manager's GDI Objects column.",
    ),
    _gdi(
        pattern="Gla1",
        role=Role.SESSION,
        holds="Device contexts kept for reuse.",
        growth="Follows device contexts in use.",
        next_step="Task Manager's GDI Objects column.",
    ),
    _gdi(
        pattern="Gla4",
        role=Role.SESSION,
        holds="Regions kept for reuse.",
        growth="Follows regions in use.",
        next_step="Task Manager's GDI Objects column.",
    ),
    _gdi(
        pattern="Gla5",
        role=Role.SESSION,
        holds="Small bitmaps and surfaces from a lookaside list.",
        growth="Follows bitmaps in use: read it together with Gh?5.",
        next_step="Task Manager's GDI Objects column.",
    ),
    _gdi(
        pattern="Gla?",
        role=Role.SESSION,
        holds="GDI objects from lookaside lists; the last letter names the kind.",
        growth="Follows GDI objects in use.",
        next_step="Task Manager's GDI Objects column; `!poolused 8`.",
    ),
    _gdi(
        pattern="Gcac",
        role=Role.SESSION,
        holds="Cached glyphs: the shapes of characters in the sizes in use.",
        growth="Follows fonts and sizes in use; large with Asian fonts and terminal servers.",
        next_step="`!poolused 8` per session; look for programs that use very many font sizes.",
    ),
    _gdi(
        pattern="Gtmp",
        role=Role.SESSION,
        holds="Temporary memory of GDI.",
        growth="Short-lived; growth points at a display or printer driver that does not return.",
        next_step="Test with another display or printer driver.",
    ),
    _gdi(
        pattern="GTmp",
        role=Role.SESSION,
        holds="Temporary GDI buffers tied to a thread.",
        growth="Short-lived, one per drawing thread.",
        next_step="Test with another display or printer driver.",
    ),
    _gdi(
        pattern="Gfnt",
        role=Role.SESSION,
        holds="Realised fonts: a font prepared for one size and device.",
        growth="Follows fonts, sizes and devices in use.",
        next_step="Look for programs that use very many font sizes.",
    ),
    _gdi(
        pattern="Gpff",
        role=Role.SESSION,
        holds="Loaded font files.",
        growth="Follows fonts loaded, private ones included.",
        next_step="Look for programs that add private fonts and do not remove them.",
    ),
    _gdi(
        pattern="GDev",
        role=Role.SESSION,
        holds="Display and printer devices of GDI.",
        growth="Follows displays, printers and sessions; growth means printer contexts that stay open.",
        next_step="Look at the spooler and the printer drivers.",
    ),
    _gdi(
        pattern="Gdrs",
        role=Role.SESSION,
        holds="Support data of display drivers.",
        growth="Follows displays and mode changes.",
        next_step="Update the display driver.",
    ),
    _gdi(
        pattern="Gsem",
        role=Role.SESSION,
        holds="Locks of GDI.",
        growth="Follows surfaces and devices.",
        next_step="Read it beside Gh?5.",
    ),
    _gdi(
        pattern="GFil",
        role=Role.SESSION,
        holds="Paths of files that GDI opened, mostly fonts.",
        growth="Follows fonts loaded.",
        next_step="Look for programs that add private fonts and do not remove them.",
    ),
    _gdi(
        pattern="G???",
        role=Role.SESSION,
        holds="Some structure of GDI.",
        growth="Follows drawing programs, fonts and devices.",
        next_step="`!poolused 8` in the session; Task Manager's GDI Objects column.",
    ),
    _gdi(
        pattern="Bmfd",
        role=Role.SESSION,
        holds="Bitmap fonts.",
        growth="Follows loaded bitmap fonts.",
        next_step="Look for programs that add private fonts and do not remove them.",
    ),
    _gdi(
        pattern="Ttfd",
        role=Role.SESSION,
        holds="TrueType fonts in use by the font driver.",
        growth="Follows loaded fonts and sizes; large on terminal servers.",
        next_step="Look for programs that load very many fonts.",
    ),
    _gdi(
        pattern="Adbe",
        role=Role.SESSION,
        holds="Type 1 and OpenType fonts of the Adobe font driver.",
        growth="Follows such fonts in use.",
        next_step="Look for programs that add private fonts and do not remove them.",
    ),
)

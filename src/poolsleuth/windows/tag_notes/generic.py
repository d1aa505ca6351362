"""Tags that name no driver: shared defaults, the pool's own tables, third parties, made-up leaks."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_shared = partial(TagNote, component="shared by every driver that sets no tag of its own", binary=None)
_kmdf = partial(TagNote, component="drivers built on the driver framework (KMDF)", binary=None)
_pool = partial(TagNote, component="nt!ex, the pool itself", binary=None)
_cont = partial(TagNote, component="drivers with contiguous buffers", binary=None)
_rtl = partial(TagNote, component="several kernel components", binary=None)
_third = partial(TagNote, component="third-party drivers", binary=None)

NOTES: tuple[TagNote, ...] = (
    _shared(
        pattern="Ddk",
        role=Role.GENERIC,
        holds=(
            "The shared default of drivers that were built without a tag of their own, where the macros "
            "of the driver kit put one in."
        ),
        growth=(
            "Says only that a driver built that way holds the memory: usually third-party, and often "
            "more than one. The tag must be split before anybody is blamed."
        ),
        next_step=(
            "Live: `ed nt!PoolHitTag ' kdD'` breaks in on each use and the stack names the driver, or "
            "turn on pool tracking in Driver Verifier and read `!verifier 3 driver.sys`. In a dump: "
            'search the modules for the immediate with `!for_each_module s -a @#Base @#End "Ddk "`, and '
            "look into the blocks with `!poolfind Ddk` and `dps` for pointers into a driver."
        ),
    ),
    _shared(
        pattern="None",
        role=Role.UNTAGGED,
        holds="Memory taken without any tag, through ExAllocatePool.",
        growth=(
            "Names no driver: whoever imports ExAllocatePool is a suspect. Few modern drivers do, so the "
            "import usually singles one out."
        ),
        next_step=(
            "`x nt!ExAllocatePool` gives the address; `!for_each_module s-d @#Base @#End <address>` (s-q "
            "on 64-bit Windows) finds the import tables that hold it; `dps` on the hit confirms the "
            "table and `!lmi` names the module."
        ),
    ),
    _shared(
        pattern="Wdm",
        role=Role.GENERIC,
        holds="The default of drivers built against the WDM headers that set no tag of their own.",
        growth="Like Ddk: a device driver, often third-party, and possibly several.",
        next_step=(
            "Split it as Ddk: `ed nt!PoolHitTag ' mdW'`, `!for_each_module s -a @#Base @#End \"Wdm \"`, or "
            "`!poolfind Wdm` with `dps`."
        ),
    ),
    _shared(
        pattern="ScUn",
        role=Role.GENERIC,
        holds="The default of storage class drivers that set no tag of their own.",
        growth="Some disk, tape or changer class driver holds the memory.",
        next_step="`!devnode 0 1` for the class drivers; split it as Ddk.",
    ),
    _kmdf(
        pattern="FxDr",
        role=Role.GENERIC,
        holds="Memory of the driver framework, and the fallback for framework drivers whose own tag is unusable.",
        growth="Some framework driver holds the memory; the framework merely allocated it.",
        next_step=(
            "`!wdfkd.wdfldr` lists the framework drivers; `!wdfkd.wdfpoolusage <driver>` shows the pool "
            "of one that runs under the framework's verifier."
        ),
    ),
    _kmdf(
        pattern="FxL?",
        role=Role.OTHER,
        holds="The loader of the driver framework.",
        growth="Follows framework drivers loaded.",
        next_step="`!wdfkd.wdfldr`.",
    ),
    _pool(
        pattern="Pool",
        role=Role.POOL,
        holds="Tables of the pool itself: the list of large blocks and the tag counters.",
        growth=(
            "Grows in large steps when very many large blocks exist or very many tags are used. It "
            "follows the leak and is not its cause."
        ),
        next_step="Nothing by itself; look for the tag whose large blocks fill the table.",
    ),
    _pool(
        pattern="PooL",
        role=Role.POOL,
        holds="Lookaside lists of small blocks, made at start.",
        growth="Fixed after start.",
        next_step="Nothing by itself.",
    ),
    _pool(
        pattern="Ovfl",
        role=Role.POOL,
        holds="The sum of allocations for which the tag table had no room left: their real tags are lost.",
        growth="The share of the pool under it cannot be attributed by tag, so a missing tag here proves nothing.",
        next_step=(
            "Look for a driver that makes up a new tag for every block (`!poolused` with very many "
            "rows), and use Driver Verifier's pool tracking (`!verifier 3 driver.sys`), which does not "
            "need tags."
        ),
    ),
    _cont(
        pattern="Cont",
        role=Role.CONTIGUOUS,
        holds="Physically contiguous memory given to device drivers, mostly common buffers for DMA.",
        growth=(
            "Taken once at start by network, storage and video drivers; growth is a driver that allocates at run time."
        ),
        next_step="`!dma` for adapters and their common buffers; `!poolfind Cont 0` for sizes.",
    ),
    _rtl(
        pattern="Strg",
        role=Role.OTHER,
        holds="Strings that were converted between character sets.",
        growth="Temporary; growth is a driver that converts strings and does not free them.",
        next_step="`!poolfind Strg` and `du` on some blocks: the text usually gives the driver away.",
    ),
    _rtl(
        pattern="Info",
        role=Role.OTHER,
        holds="Buffers for answering system information queries.",
        growth="Temporary; follows monitors that query often.",
        next_step="Stop the monitoring agents one at a time.",
    ),
    _rtl(
        pattern="Envr",
        role=Role.OTHER,
        holds="Environment strings.",
        growth="Small.",
        next_step="Nothing by itself.",
    ),
    _rtl(
        pattern="CBRe",
        role=Role.OTHER,
        holds="Registrations for kernel callbacks.",
        growth="Few; growth is a driver that registers again and again.",
        next_step="`lm` for security products.",
    ),
    _rtl(
        pattern="Ntsd",
        role=Role.OTHER,
        holds="Not published; unsure what it is.",
        growth="Unknown.",
        next_step=(
            "`!poolfind Ntsd`, `dps` on the blocks, and a search of the driver files with `strings * | findstr Ntsd`."
        ),
    ),
    _third(
        pattern="MFE0",
        role=Role.OTHER,
        holds="Unsure: third-party, by its prefix probably a McAfee (Trellix) security driver.",
        growth="Follows file and process activity that the product watches; endless growth is the product's.",
        next_step=(
            "Confirm the owner: `strings * | findstr MFE0` over the driver folder, then `sigcheck` on "
            "the hit; update or remove the product to test."
        ),
    ),
    _third(
        pattern="MFE?",
        role=Role.OTHER,
        holds="Unsure: third-party, by its prefix probably a McAfee (Trellix) security driver.",
        growth="Follows the activity that the product watches.",
        next_step="Confirm the owner: `strings * | findstr MFE` over the driver folder, then `sigcheck` on the hit.",
    ),
    _third(
        pattern="LeoC",
        role=Role.OTHER,
        holds="The file filter of Symantec's or Norton's antivirus.",
        growth="Follows files in use; endless growth is the product's.",
        next_step="`fltmc instances`; update or remove the product to test.",
    ),
    _third(
        pattern="_ATI",
        role=Role.OTHER,
        holds="ATI (AMD) display driver.",
        growth="Follows displays and graphics programs.",
        next_step="Update the display driver.",
    ),
    _third(
        pattern="@GMM",
        role=Role.OTHER,
        holds="Intel display driver.",
        growth="Follows displays and graphics programs.",
        next_step="Update the display driver.",
    ),
    _third(
        pattern="Leak",
        role=Role.OTHER,
        holds="The leak made on purpose by Sysinternals Notmyfault (myfault.sys).",
        growth="Somebody is running a test: the memory is freed when the tool ends.",
        next_step="If Notmyfault was run, close it; if not, search the drivers: `findstr /m /l Leak *.sys`.",
    ),
)

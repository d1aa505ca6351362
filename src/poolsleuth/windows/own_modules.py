"""Modules of Windows itself that are met in memory dumps: frameworks, file systems, stacks and buses.

A pointer to one of them inside of a block tells which framework the block is made for, not whose it is. The list is not
whole: a module that names Microsoft as its company is one of them, too.
"""

_STEMS = frozenset(
    """
    nt ntoskrnl ntkrnlmp ntkrnlpa ntkrpamp hal halmacpi halacpi kdcom kd kdnet ci clfs clipsp tm pshed bootvid mcupdate
    mcupdate_genuineintel mcupdate_authenticamd werkernel cng ksecdd ksecpkg msrpc wdf01000 wdfldr wpprecorder
    sleepstudyhelper acpi acpiex wmilib pci pciidex pcw pdc partmgr vdrvroot spaceport volmgr volmgrx mountmgr ataport
    atapi intelide storahci stornvme storport scsiport classpnp disk crashdmp dumpfve dumpata fltmgr fileinfo wof
    wcifs ntfs refs refsv1 fastfat exfat cdfs udfs fs_rec luafv volsnap fvevol rdyboost dfsc mup rdbss mrxsmb mrxsmb10
    mrxsmb20 mrxdav srv srv2 srvnet npfs msfs null beep cdrom ndis ndisuio ndiswan ndistapi ndproxy netio netbt netbios
    tcpip tcpip6 tcpipreg fwpkclnt wfplwfs afd tdi tdx http vmbus vmbkmcl winhv winhvr vmstorfl storvsc netvsc hvsocket
    win32k win32kbase win32kfull cdd dxgkrnl dxgmms1 dxgmms2 watchdog videoprt vga vgapnp basicdisplay basicrender
    monitor kbdclass kbdhid mouclass mouhid hidclass hidparse hidusb i8042prt usbd usbport usbhub usbhub3 usbxhci
    usbehci usbohci usbuhci usbccgp usbstor usbohci ucx01000 ks ksthunk portcls drmk drmkaud mssmbios serenum serial
    parport fdc flpydisk swenum umbus umpass compositebus rdpdr rdpbus rdpwd termdd tdtcp rasl2tp raspppoe raspptp
    rassstp agilevpn wanarp lltdio rspndr mslldp mpsdrv psched pacer qwavedrv nsiproxy bowser peauth secdrv condrv
    intelppm amdppm processr dam ahcache registry appid applockerfltr bfe bindflt cldflt storqosflt filecrypt tbs tpm
    wdfilter wdboot wdnisdrv mssecflt msgpioclx spbcx sdbus sdport sffdisk iorate hwpolicy ecache rndismp rndismpx
    dmio dmboot dmload ftdisk ksecdd kmixer sysaudio audstub redbook ipsec ipnat ipfltdrv gpc update
    """.split()  # noqa: SIM905 - two hundred names in quotes would be read by nobody
)


def is_windows_module(name: str, company: str | None = None) -> bool:
    """Whether a module (its file's name) is a part of Windows, by its name or by the company that it names."""
    if company is not None and company.casefold().startswith("microsoft"):
        return True
    return name.casefold().rsplit(".", 1)[0] in _STEMS

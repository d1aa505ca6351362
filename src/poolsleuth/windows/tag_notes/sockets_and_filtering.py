"""IP security, the socket driver and the filtering platform."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_ipsec = partial(TagNote, component="ipsec.sys, later tcpip.sys: IP security", binary=None)
_afd = partial(TagNote, component="afd.sys, the socket driver", binary="afd.sys")
_wfp = partial(TagNote, component="netio.sys, the Windows Filtering Platform", binary="netio.sys")
_netio = partial(TagNote, component="netio.sys, the network I/O subsystem", binary="netio.sys")
_fwpk = partial(TagNote, component="fwpkclnt.sys, the kernel client of the filtering platform", binary="fwpkclnt.sys")
_wl = partial(TagNote, component="wfplwfs.sys, the filtering platform at the link layer, or writelog.sys", binary=None)

NOTES: tuple[TagNote, ...] = (
    _ipsec(
        pattern="Ip??",
        role=Role.NETWORK,
        holds="IP security of Windows 2000 to 2003 (ipsec.sys); later the IP and IPsec parts of tcpip.sys.",
        growth="Follows associations, keys and packets.",
        next_step="`netsh ipsec dynamic show all` or `netsh advfirewall monitor show mmsa`.",
    ),
    _afd(
        pattern="AfdB",
        role=Role.NETWORK,
        holds="Data buffers of sockets.",
        growth=(
            "Rises with traffic that programs do not read in time, and with many sockets; it falls when "
            "they do. Growth that stays is a program that leaves its sockets unread or open."
        ),
        next_step="`netstat -ano` grouped by process, then that process.",
    ),
    _afd(
        pattern="AfdE",
        role=Role.NETWORK,
        holds="Socket endpoints.",
        growth="One per socket: growth is a program that does not close its sockets.",
        next_step="`netstat -ano`, and `!handle 0 3 <process> File` for \\Device\\Afd.",
    ),
    _afd(
        pattern="AfdC",
        role=Role.NETWORK,
        holds="Connections of sockets.",
        growth="One per connection.",
        next_step="`netstat -ano` grouped by process.",
    ),
    _afd(
        pattern="AfdX",
        role=Role.NETWORK,
        holds="Socket contexts that user mode hands down.",
        growth="One per socket.",
        next_step="`netstat -ano`, and `!handle 0 3 <process> File` for \\Device\\Afd.",
    ),
    _afd(
        pattern="AfdP",
        role=Role.NETWORK,
        holds="State of select and poll calls.",
        growth="Follows programs that poll many sockets.",
        next_step="Find the program with the most sockets.",
    ),
    _afd(
        pattern="AfdL",
        role=Role.NETWORK,
        holds="Local addresses of sockets.",
        growth="Follows sockets.",
        next_step="`netstat -ano`, and `!handle 0 3 <process> File` for \\Device\\Afd.",
    ),
    _afd(
        pattern="AfdR",
        role=Role.NETWORK,
        holds="Remote addresses of sockets.",
        growth="Follows connections.",
        next_step="`netstat -ano`, and `!handle 0 3 <process> File` for \\Device\\Afd.",
    ),
    _afd(
        pattern="AfdT",
        role=Role.NETWORK,
        holds="Transports known to the socket driver.",
        growth="Few.",
        next_step="Nothing by itself.",
    ),
    _afd(
        pattern="Afd?",
        role=Role.NETWORK,
        holds="Some structure of the socket driver.",
        growth="Follows sockets; the owner is a user program.",
        next_step="`netstat -ano` grouped by process.",
    ),
    _afd(
        pattern="WSKs",
        role=Role.NETWORK,
        holds="Sockets that kernel drivers opened themselves.",
        growth="Growth is a driver, not a program: file service, iSCSI, security products.",
        next_step="Allocation stacks with `xperf -on BASE+Pool -stackwalk PoolAlloc+PoolFree`.",
        since="Vista",
    ),
    _wfp(
        pattern="WfpF",
        role=Role.NETWORK,
        holds="Filters of the filtering platform.",
        growth="Follows the number of firewall rules; a product that adds filters at every connection makes it grow.",
        next_step="`netsh wfp show filters` and count by provider.",
        since="Vista",
    ),
    _wfp(
        pattern="WfpM",
        role=Role.NETWORK,
        holds="Buffers for matching filters.",
        growth="Temporary.",
        next_step="`netsh wfp show state`.",
        since="Vista",
    ),
    _wfp(
        pattern="Wfpn",
        role=Role.NETWORK,
        holds="Information about packets under inspection.",
        growth="Growth means a callout that keeps packets.",
        next_step="`netsh wfp show state`; test without the security product.",
        since="Vista",
    ),
    _wfp(
        pattern="Wfp?",
        role=Role.NETWORK,
        holds="Some structure of the filtering platform.",
        growth="Follows rules and connections; the retainer is usually a firewall, antivirus or VPN product.",
        next_step="`netsh wfp show state`, then test without the product.",
        since="Vista",
    ),
    _netio(
        pattern="Nbuf",
        role=Role.NETWORK,
        holds="Descriptor lists for network buffers.",
        growth="Follows packets under way.",
        next_step="`!ndiskd.pendingnbls`.",
        since="Vista",
    ),
    _netio(
        pattern="Nnbf",
        role=Role.NETWORK,
        holds="Network buffers of the stack.",
        growth="Follows packets under way; growth means a filter or adapter that does not return them.",
        next_step="`!ndiskd.pendingnbls` and `!ndiskd.nblpool`.",
        since="Vista",
    ),
    _fwpk(
        pattern="Fwp?",
        role=Role.NETWORK,
        holds="Packets that callouts clone and inject.",
        growth="Growth means a security product that clones packets and does not free them.",
        next_step="`netsh wfp show state`; test without the product.",
        since="Vista",
    ),
    _wl(
        pattern="Wl2?",
        role=Role.NETWORK,
        holds="Structures of the filtering platform at the link layer.",
        growth="Follows packets and flows under inspection.",
        next_step="`netsh wfp show state`.",
        since="8",
    ),
    _wl(
        pattern="Wl??",
        role=Role.OTHER,
        holds="Mostly the write log driver; the tags that begin with Wl2 are the link-layer firewall.",
        growth="Follows logged writes.",
        next_step="Look up the exact tag in pooltag.txt.",
    ),
)

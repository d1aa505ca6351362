"""The SMB client, the redirector, DFS and WebDAV clients, the HTTP server."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_rdbss = partial(TagNote, component="rdbss.sys, the redirected drive buffering system", binary="rdbss.sys")
_mrx = partial(TagNote, component="mrxsmb.sys, the SMB client", binary="mrxsmb.sys")
_mup = partial(TagNote, component="mup.sys, the multiple UNC provider", binary="mup.sys")
_dfsc = partial(TagNote, component="dfsc.sys, the DFS client", binary="dfsc.sys")
_dav = partial(TagNote, component="mrxdav.sys, the WebDAV client", binary="mrxdav.sys")
_http = partial(TagNote, component="http.sys, the HTTP server", binary="http.sys")

NOTES: tuple[TagNote, ...] = (
    _rdbss(
        pattern="RxFc",
        role=Role.CACHE,
        holds="File control blocks of files opened on network shares.",
        growth="Follows remote files in use or cached.",
        next_step="`net use` for the shares, then the program with the open files.",
    ),
    _rdbss(
        pattern="RxSo",
        role=Role.NETWORK,
        holds="Opens that the redirector holds at a server.",
        growth="Follows remote files in use.",
        next_step="`net use`.",
    ),
    _rdbss(
        pattern="RxFx",
        role=Role.NETWORK,
        holds="Per-open state of remote files.",
        growth="One per open; growth follows File.",
        next_step=(
            "Compare with the handle counts (`!process 0 0`, `openfiles /query`, `net file`); few "
            "handles but many file objects speak for a kernel reference: `!fileobj <address>` and "
            "`!object <address>`."
        ),
    ),
    _rdbss(
        pattern="RxSc",
        role=Role.NETWORK,
        holds="Servers known to the redirector.",
        growth="Follows the number of servers talked to.",
        next_step="`net use`, `Get-SmbConnection`.",
    ),
    _rdbss(
        pattern="RxNr",
        role=Role.NETWORK,
        holds="Shares known to the redirector.",
        growth="Follows the number of shares in use.",
        next_step="`net use`, `Get-SmbConnection`.",
    ),
    _rdbss(
        pattern="RxVn",
        role=Role.NETWORK,
        holds="Users' views of shares in the redirector.",
        growth="Shares times users: large on terminal servers.",
        next_step="`net use` per session.",
    ),
    _rdbss(
        pattern="RxIr",
        role=Role.IO,
        holds="Contexts of requests in the redirector.",
        growth="As many as requests under way; growth means servers that do not answer.",
        next_step="`!irpfind`, network traces.",
    ),
    _rdbss(
        pattern="RxM?",
        role=Role.NETWORK,
        holds="Name buffers of the redirector.",
        growth="Temporary or bound to shares in use.",
        next_step="`net use`.",
    ),
    _rdbss(
        pattern="Rx??",
        role=Role.NETWORK,
        holds="Some structure of the redirector; RxC* belongs to the SMB client's connection engine.",
        growth="Follows remote files and shares in use.",
        next_step="`net use`, `Get-SmbConnection`.",
    ),
    _mrx(
        pattern="SmMs",
        role=Role.NETWORK,
        holds="Various memory of the SMB client.",
        growth="Follows connections and requests to file servers.",
        next_step="`Get-SmbConnection`; install the newest SMB client fixes if it only grows.",
    ),
    _mrx(
        pattern="SmXc",
        role=Role.IO,
        holds="Exchanges: requests of the SMB client under way.",
        growth="Grows with servers that do not answer.",
        next_step="`Get-SmbConnection`, network traces.",
    ),
    _mrx(
        pattern="SmBf",
        role=Role.IO,
        holds="Buffers of SMB client requests.",
        growth="Follows traffic to file servers.",
        next_step="`Get-SmbConnection`, network traces.",
    ),
    _mrx(
        pattern="SmCe",
        role=Role.NETWORK,
        holds="Connection objects of the SMB client.",
        growth="Follows servers, shares and users.",
        next_step="`Get-SmbConnection`.",
    ),
    _mrx(
        pattern="Sm??",
        role=Role.NETWORK,
        holds="Some structure of the SMB client.",
        growth="Follows connections to file servers.",
        next_step="`Get-SmbConnection`.",
    ),
    _mup(
        pattern="Mup",
        role=Role.NETWORK,
        holds="Memory of the UNC provider without a finer tag.",
        growth="Follows use of network paths.",
        next_step="`net use`.",
    ),
    _mup(
        pattern="MuIc",
        role=Role.IO,
        holds="Contexts of requests in the UNC provider.",
        growth="As many as requests under way.",
        next_step="`!irpfind`.",
    ),
    _mup(
        pattern="MuFc",
        role=Role.NETWORK,
        holds="File contexts of the UNC provider.",
        growth="One per open over a network path.",
        next_step="Compare with File.",
    ),
    _mup(
        pattern="Mu??",
        role=Role.NETWORK,
        holds="Some structure of the UNC provider.",
        growth="Follows use of network paths.",
        next_step="`net use`.",
    ),
    _dfsc(
        pattern="DfC?",
        role=Role.NETWORK,
        holds="Some structure of the DFS client: referrals, prefixes, credentials.",
        growth="Follows DFS paths and users; large on terminal servers.",
        next_step="`dfsutil cache referral`; flush it with `dfsutil cache referral flush`.",
        since="Vista",
    ),
    _dav(
        pattern="DV??",
        role=Role.NETWORK,
        holds="Structures of the WebDAV client.",
        growth="Follows files on WebDAV shares.",
        next_step="Restart the WebClient service to test.",
    ),
    _http(
        pattern="UlHT",
        role=Role.NETWORK,
        holds="Hash tables of the HTTP server.",
        growth="Fixed after start.",
        next_step="Nothing by itself.",
    ),
    _http(
        pattern="UlRB",
        role=Role.NETWORK,
        holds="Receive buffers of the HTTP server.",
        growth="Follows connections and slow requests.",
        next_step="`netsh http show servicestate`.",
    ),
    _http(
        pattern="UlUC",
        role=Role.CACHE,
        holds="Responses in the HTTP server's cache.",
        growth="Follows cached content.",
        next_step="`netsh http show cachestate`; flush with `netsh http delete cache`.",
    ),
    _http(
        pattern="UlHC",
        role=Role.NETWORK,
        holds="HTTP connections.",
        growth="One per client connection.",
        next_step="`netsh http show servicestate`.",
    ),
    _http(
        pattern="UlIR",
        role=Role.NETWORK,
        holds="Responses the HTTP server is sending.",
        growth="Grows with slow clients.",
        next_step="`netsh http show servicestate`.",
    ),
    _http(
        pattern="Ul??",
        role=Role.NETWORK,
        holds="Some structure of the HTTP server.",
        growth="Follows connections, requests and cached content; the cause is the site or its worker processes.",
        next_step="`netsh http show servicestate`.",
    ),
    _http(
        pattern="Uc??",
        role=Role.NETWORK,
        holds="Some structure of the kernel's HTTP client side.",
        growth="Follows outgoing HTTP connections made in the kernel.",
        next_step="`netsh http show servicestate`.",
    ),
)

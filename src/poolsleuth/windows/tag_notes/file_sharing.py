"""The SMB server."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_srv = partial(TagNote, component="srv.sys and srvnet.sys, the SMB server", binary=None)

NOTES: tuple[TagNote, ...] = (
    _srv(
        pattern="LSwi",
        role=Role.NETWORK,
        holds="The work items that the SMB 1 server allocates in one piece at start.",
        growth="A single block sized by the server's settings: large on file servers and not a leak.",
        next_step=(
            "Nothing by itself; HKLM\\SYSTEM\\CurrentControlSet\\Services\\LanmanServer\\Parameters "
            "InitWorkItems and MaxWorkItems set it."
        ),
    ),
    _srv(
        pattern="LSwn",
        role=Role.NETWORK,
        holds="Work items the SMB 1 server adds under load.",
        growth=(
            "Rises with SMB traffic and falls when it ebbs; staying high means requests that do not "
            "finish, often behind a slow disk or an antivirus filter."
        ),
        next_step="Server Work Queues counters in Perfmon; `net session` and `net file`; MaxWorkItems bounds it.",
    ),
    _srv(
        pattern="LSbf",
        role=Role.NETWORK,
        holds="Buffers of the SMB server's network part.",
        growth="Follows traffic and connected clients.",
        next_step="`net session`.",
    ),
    _srv(
        pattern="LScn",
        role=Role.NETWORK,
        holds="Connections of SMB 1 clients.",
        growth="One per client connection.",
        next_step="`net session`.",
    ),
    _srv(
        pattern="LSpc",
        role=Role.NETWORK,
        holds="Paged part of SMB 1 connections.",
        growth="One per client connection.",
        next_step="`net session`.",
    ),
    _srv(
        pattern="LSss",
        role=Role.NETWORK,
        holds="Sessions of SMB 1 users.",
        growth="One per session: growth means clients that log on and never off.",
        next_step="`net session`; set autodisconnect with `net config server /autodisconnect:<minutes>`.",
    ),
    _srv(
        pattern="LStc",
        role=Role.NETWORK,
        holds="Connections of SMB 1 clients to shares.",
        growth="Follows mapped drives.",
        next_step="`net session`.",
    ),
    _srv(
        pattern="LSrf",
        role=Role.NETWORK,
        holds="Files opened through SMB 1 shares.",
        growth="Follows files open remotely.",
        next_step="`net file`.",
    ),
    _srv(
        pattern="LSmf",
        role=Role.NETWORK,
        holds="Files that SMB 1 has open, one per file whatever the number of clients.",
        growth="Follows files open remotely.",
        next_step="`net file`.",
    ),
    _srv(
        pattern="LSsr",
        role=Role.NETWORK,
        holds="Directory searches of SMB 1 clients.",
        growth="Grows with clients that begin searches and leave them; they age out.",
        next_step="`net session` for the client; its program.",
    ),
    _srv(
        pattern="LSni",
        role=Role.NETWORK,
        holds="Name information of SMB 1.",
        growth="Temporary.",
        next_step="`net session`.",
    ),
    _srv(
        pattern="LSdb",
        role=Role.NETWORK,
        holds="Data buffers of SMB 1.",
        growth="Follows traffic.",
        next_step="`net session`.",
    ),
    _srv(
        pattern="LS2c",
        role=Role.NETWORK,
        holds="Connections of SMB 2 and 3 clients.",
        growth="One per client connection.",
        next_step="`Get-SmbSession`.",
        since="Vista",
    ),
    _srv(
        pattern="LS2s",
        role=Role.NETWORK,
        holds="Sessions of SMB 2 and 3 users.",
        growth="One per session.",
        next_step="`Get-SmbSession`.",
        since="Vista",
    ),
    _srv(
        pattern="LS2f",
        role=Role.NETWORK,
        holds="Files opened by SMB 2 and 3 clients.",
        growth="Follows files open remotely, durable handles of lost clients included.",
        next_step="`Get-SmbOpenFile`.",
        since="Vista",
    ),
    _srv(
        pattern="LS2l",
        role=Role.NETWORK,
        holds="Leases that let clients cache files.",
        growth="Follows files open remotely.",
        next_step="`Get-SmbOpenFile`.",
        since="Vista",
    ),
    _srv(
        pattern="LS2w",
        role=Role.NETWORK,
        holds="Work items of SMB 2 and 3.",
        growth="Rises with requests that do not finish.",
        next_step="SMB Server Shares counters, then the disks.",
        since="Vista",
    ),
    _srv(
        pattern="LS2o",
        role=Role.NETWORK,
        holds="Oplock breaks under way.",
        growth="Rises when clients do not answer.",
        next_step="`Get-SmbOpenFile` for the clients.",
        since="Vista",
    ),
    _srv(
        pattern="LS2?",
        role=Role.NETWORK,
        holds="Some structure of the SMB 2 and 3 server.",
        growth="Follows clients and open files.",
        next_step="`Get-SmbSession`, `Get-SmbOpenFile`.",
        since="Vista",
    ),
    _srv(
        pattern="LS0?",
        role=Role.NETWORK,
        holds="Network buffers of the SMB server by size class.",
        growth="Follows traffic; kept for reuse after a peak.",
        next_step="SMB Server counters; the memory returns slowly.",
    ),
    _srv(
        pattern="LS1?",
        role=Role.NETWORK,
        holds="Large network buffers of the SMB server by size class.",
        growth="Follows large reads and writes.",
        next_step="SMB Server counters.",
    ),
    _srv(
        pattern="LS??",
        role=Role.NETWORK,
        holds="Some structure of the SMB server.",
        growth="Follows clients, open files and requests.",
        next_step="`net session`, `net file`.",
    ),
)

"""NDIS, NetBT, TDI, remote access and virtual switches."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_ndis = partial(TagNote, component="ndis.sys, the network driver interface", binary="ndis.sys")
_netbt = partial(TagNote, component="netbt.sys, NetBIOS over TCP/IP", binary="netbt.sys")
_nbf = partial(TagNote, component="nbf.sys, the old NetBEUI transport", binary=None)
_tdx = partial(TagNote, component="tdx.sys, the bridge from the old transport interface", binary="tdx.sys")
_tdi = partial(TagNote, component="tdi.sys, the old transport interface", binary=None)
_nsi = partial(TagNote, component="nsiproxy.sys and nsi.dll, the network store interface", binary=None)
_ndproxy = partial(TagNote, component="ndproxy.sys, telephony over NDIS", binary="ndproxy.sys")
_wan = partial(TagNote, component="ndiswan.sys, framing for remote access", binary=None)
_pacer = partial(TagNote, component="pacer.sys, the packet scheduler", binary="pacer.sys")
_vmsw = partial(TagNote, component="vmswitch.sys, the Hyper-V virtual switch", binary="vmswitch.sys")
_netvsc = partial(TagNote, component="netvsc.sys, the synthetic network adapter of a Hyper-V guest", binary=None)
_vmbus = partial(TagNote, component="vmbus.sys, the Hyper-V bus", binary="vmbus.sys")

NOTES: tuple[TagNote, ...] = (
    _ndis(
        pattern="NDpp",
        role=Role.NETWORK,
        holds="Packet pools that protocols, filters and adapters asked for.",
        growth=(
            "Sized once at start; growth means a driver that makes pools and never frees them, or a pool "
            "that grows since packets do not come back."
        ),
        next_step=(
            "`!ndiskd.pktpools` (up to Windows 2003) or `!ndiskd.nblpool` names the owner and the packets outstanding."
        ),
    ),
    _ndis(
        pattern="NDnd",
        role=Role.NETWORK,
        holds="Pools that NDIS keeps for packets and buffers.",
        growth="Follows network drivers; growth goes with packets not returned.",
        next_step="`!ndiskd.nblpool` and `!ndiskd.pendingnbls`.",
    ),
    _ndis(
        pattern="NDnc",
        role=Role.NETWORK,
        holds="Context areas attached to packets.",
        growth="Follows packets under way.",
        next_step="`!ndiskd.pendingnbls`.",
    ),
    _ndis(
        pattern="NDam",
        role=Role.GENERIC,
        holds="What network drivers got from NdisAllocateMemory, which has no tag parameter.",
        growth="The cause is some adapter, filter or VPN driver.",
        next_step=(
            "`!ndiskd.miniport` and `!ndiskd.protocol` for the drivers; `!poolfind NDam` and `dps` on "
            "the blocks for pointers into one of them."
        ),
    ),
    _ndis(
        pattern="NDmb",
        role=Role.NETWORK,
        holds="Blocks of adapter drivers.",
        growth="One per adapter driver.",
        next_step="`!ndiskd.miniport`.",
    ),
    _ndis(
        pattern="NDwi",
        role=Role.NETWORK,
        holds="Work items of network drivers.",
        growth="Piles up behind blocked worker threads.",
        next_step="`!exqueue f`.",
    ),
    _ndis(
        pattern="NDre",
        role=Role.NETWORK,
        holds="Requests to query or set adapter values.",
        growth="Growth means requests that an adapter does not complete, or a monitor that asks too often.",
        next_step="`!ndiskd.oid` lists the pending ones.",
    ),
    _ndis(
        pattern="NDsh",
        role=Role.CONTIGUOUS,
        holds="Memory shared with network adapters for DMA.",
        growth="Fixed after start.",
        next_step="`!ndiskd.miniport` for the adapters; reduce their receive buffers.",
    ),
    _ndis(
        pattern="NDvm",
        role=Role.VERIFIER,
        holds="Memory of network drivers under Driver Verifier.",
        growth="Only while verification is on.",
        next_step="`verifier /querysettings`.",
    ),
    _ndis(
        pattern="ND??",
        role=Role.NETWORK,
        holds="Some structure of NDIS.",
        growth="Follows adapters, bindings and packets.",
        next_step="`!ndiskd.miniport` and `!ndiskd.pendingnbls`.",
    ),
    _ndis(
        pattern="ND",
        role=Role.NETWORK,
        holds="Memory of NDIS without a finer tag.",
        growth="Follows adapters and bindings.",
        next_step="`!ndiskd.miniport`.",
    ),
    _netbt(
        pattern="NbtD",
        role=Role.NETWORK,
        holds="Connections of NetBIOS over TCP/IP.",
        growth="Follows SMB over port 139 and old name services.",
        next_step="`nbtstat -s`; disable NetBIOS over TCP/IP where it is not needed.",
    ),
    _netbt(
        pattern="Nbt?",
        role=Role.NETWORK,
        holds="Some structure of NetBIOS over TCP/IP.",
        growth="Follows names, addresses and connections.",
        next_step="`nbtstat -n`, `nbtstat -s`.",
    ),
    _netbt(
        pattern="Nb??",
        role=Role.NETWORK,
        holds="Some structure of NetBIOS over TCP/IP (Nbuf excepted, which is netio.sys).",
        growth="Follows names and connections.",
        next_step="`nbtstat -n`, `nbtstat -s`.",
    ),
    _nbf(
        pattern="NBF?",
        role=Role.NETWORK,
        holds="Structures of the NetBEUI transport of old systems.",
        growth="Follows NetBEUI links.",
        next_step="Remove the protocol.",
    ),
    _tdx(
        pattern="TdxA",
        role=Role.NETWORK,
        holds="Addresses opened through the old transport interface.",
        growth="Growth is an old firewall, antivirus or VPN driver that still uses it.",
        next_step="`netstat -ano` for the sockets, then the third-party network drivers in `lm`.",
        since="Vista",
    ),
    _tdx(
        pattern="Tdx?",
        role=Role.NETWORK,
        holds="Some structure of the bridge from the old transport interface.",
        growth="Follows sockets of drivers that use the old interface.",
        next_step="Look for old network filter drivers in `lm`.",
        since="Vista",
    ),
    _tdi(
        pattern="TDI?",
        role=Role.NETWORK,
        holds="Bindings and notifications of the old transport interface.",
        growth="Follows adapters and protocols that come and go.",
        next_step="Look for adapters that reconnect all the time.",
    ),
    _nsi(
        pattern="NSp?",
        role=Role.NETWORK,
        holds="Buffers in which programs ask for network state.",
        growth="Temporary; growth goes with monitors that poll addresses and connections.",
        next_step="Find the polling program with Process Monitor.",
        since="Vista",
    ),
    _ndproxy(
        pattern="PX?",
        role=Role.NETWORK,
        holds="Structures of the telephony proxy for remote access; the third letter names the structure.",
        growth="Follows dial-in and VPN calls.",
        next_step="`netsh ras show client`.",
    ),
    _wan(
        pattern="Wan?",
        role=Role.NETWORK,
        holds="Structures and packets of remote access connections.",
        growth="Follows VPN and dial-in connections; growth means packets the modem or tunnel does not return.",
        next_step="`netsh ras show client`, `!ndiskd.miniport`.",
    ),
    _pacer(
        pattern="Pcpc",
        role=Role.NETWORK,
        holds="Packet contexts of the quality-of-service scheduler.",
        growth="Follows packets under way.",
        next_step="`!ndiskd.pendingnbls`; test with the scheduler unbound.",
        since="Vista",
    ),
    _vmsw(
        pattern="VsNb",
        role=Role.NETWORK,
        holds="Packets inside the virtual switch.",
        growth="Grows with traffic that a guest, extension or adapter does not take.",
        next_step="`Get-VMSwitchExtension`, `!ndiskd.pendingnbls`.",
    ),
    _vmsw(
        pattern="VsOb",
        role=Role.NETWORK,
        holds="Objects of the virtual switch: ports, adapters, queues.",
        growth="Follows virtual machines.",
        next_step="`Get-VMNetworkAdapter -All`.",
    ),
    _netvsc(
        pattern="VNC?",
        role=Role.NETWORK,
        holds="Structures and messages of the synthetic adapter.",
        growth="Follows traffic of the guest.",
        next_step="`!ndiskd.miniport`; update the integration services.",
    ),
    _vmbus(
        pattern="Vbus",
        role=Role.OTHER,
        holds="Channels of the Hyper-V bus.",
        growth="Follows virtual devices.",
        next_step="Update host and integration services.",
    ),
)

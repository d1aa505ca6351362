"""ACPI, Plug and Play, power, USB, input, audio and Bluetooth."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_acpi = partial(TagNote, component="acpi.sys, ACPI", binary="acpi.sys")
_pnp = partial(TagNote, component="nt!pnp, Plug and Play", binary="nt!pnp")
_arb = partial(TagNote, component="nt!arb, the arbiters of hardware resources", binary="nt!arb")
_thermal = partial(TagNote, component="thermal zones of ACPI", binary=None)
_hal = partial(TagNote, component="hal.dll, the hardware abstraction layer", binary="hal.dll")
_po = partial(TagNote, component="nt!po, the power manager", binary="nt!po")
_watchdog = partial(TagNote, component="watchdog.sys, time-outs of the display", binary="watchdog.sys")
_usb = partial(TagNote, component="USB host and hub drivers", binary=None)
_hid = partial(TagNote, component="hidclass.sys, human interface devices", binary="hidclass.sys")
_hidp = partial(TagNote, component="hidparse.sys, the parser of input device descriptions", binary="hidparse.sys")
_kbd = partial(TagNote, component="kbdclass.sys, keyboards", binary="kbdclass.sys")
_mou = partial(TagNote, component="mouclass.sys, mice", binary="mouclass.sys")
_audio = partial(TagNote, component="portcls.sys and the kernel streaming drivers", binary=None)
_bth = partial(TagNote, component="bthport.sys, Bluetooth", binary="bthport.sys")
_bat = partial(TagNote, component="battery drivers", binary=None)

NOTES: tuple[TagNote, ...] = (
    _acpi(
        pattern="AmlH",
        role=Role.OTHER,
        holds="Heap of the firmware byte code interpreter, judging by the name; typically one block of a megabyte.",
        growth="Fixed after start. Growth means firmware methods that do not return their memory.",
        next_step="Update the firmware; `!amli dns /s` walks the name space.",
    ),
    _acpi(
        pattern="Aml*",
        role=Role.OTHER,
        holds="The firmware byte code interpreter.",
        growth="Follows the name space of the firmware; growth is a firmware fault.",
        next_step="Update the firmware.",
    ),
    _acpi(
        pattern="Acpi",
        role=Role.OTHER,
        holds="General memory of ACPI.",
        growth="Follows devices in the firmware's tables.",
        next_step="Update the firmware.",
    ),
    _acpi(
        pattern="AcpA",
        role=Role.OTHER,
        holds="Resource arbitration of ACPI.",
        growth="Fixed after start.",
        next_step="Nothing by itself.",
    ),
    _acpi(
        pattern="AcpD",
        role=Role.OTHER,
        holds="Devices known to ACPI.",
        growth="Follows devices and docking.",
        next_step="`!acpiinf`.",
    ),
    _acpi(
        pattern="AcpI",
        role=Role.IO,
        holds="Requests inside ACPI.",
        growth="As many as requests under way.",
        next_step="`!irpfind`.",
    ),
    _acpi(
        pattern="AcpB",
        role=Role.OTHER,
        holds="Buffers of ACPI.",
        growth="Temporary; growth goes with polling of batteries and sensors.",
        next_step="Stop hardware monitors to test.",
    ),
    _acpi(
        pattern="AcpS",
        role=Role.OTHER,
        holds="Strings of ACPI.",
        growth="Follows devices.",
        next_step="Stop hardware monitors to test.",
    ),
    _acpi(
        pattern="Acp?",
        role=Role.OTHER,
        holds="Some structure of ACPI.",
        growth="Follows devices; growth goes with firmware or hardware monitors.",
        next_step="Update the firmware; stop hardware monitors to test.",
    ),
    _pnp(
        pattern="PnpI",
        role=Role.OTHER,
        holds="Instance paths of devices.",
        growth="Temporary; follows enumeration.",
        next_step="`!devnode 0 1`, and setupapi.dev.log for what was enumerated.",
    ),
    _pnp(
        pattern="Pnp9",
        role=Role.OTHER,
        holds="Registrations for hardware profile changes.",
        growth="Follows drivers and programs that registered; growth is one that never unregisters.",
        next_step="Allocation stacks with xperf.",
    ),
    _pnp(
        pattern="Pnp?",
        role=Role.OTHER,
        holds="Some structure of Plug and Play.",
        growth=(
            "Rises when devices arrive and leave; steady growth means a device that reconnects all the "
            "time or a listener that never unregisters."
        ),
        next_step="`!devnode 0 1`, setupapi.dev.log, system event log.",
    ),
    _pnp(
        pattern="Ppen",
        role=Role.OTHER,
        holds="Memory of device enumeration.",
        growth="Rises while devices are enumerated; endless growth means a device that reconnects all the time.",
        next_step="Read setupapi.dev.log and `!devnode 0 1` for devices that come and go.",
    ),
    _pnp(
        pattern="PpEE",
        role=Role.OTHER,
        holds="Device events on their way to user mode.",
        growth="Piles up when the Plug and Play service does not take them.",
        next_step="`!pnpevent`.",
    ),
    _pnp(
        pattern="Pp??",
        role=Role.OTHER,
        holds="Some structure of Plug and Play.",
        growth="Follows devices and their arrivals.",
        next_step="`!devnode 0 1`, `!pnpevent`.",
    ),
    _pnp(
        pattern="Dnod",
        role=Role.OTHER,
        holds="Device nodes, the entries of the device tree.",
        growth="One per device; removed devices stay while a driver references them.",
        next_step="`!devnode 0 1`.",
    ),
    _arb(
        pattern="Arb?",
        role=Role.OTHER,
        holds="Arbiters of hardware resources.",
        growth="Rises when resources are rebalanced.",
        next_step="`!arbiter`.",
    ),
    _arb(
        pattern="ArbR",
        role=Role.OTHER,
        holds="Ranges of ports, memory and interrupts given to devices.",
        growth="Fixed after start.",
        next_step="`!arbiter`.",
    ),
    _thermal(
        pattern="Thrm",
        role=Role.OTHER,
        holds="Thermal zones.",
        growth="Fixed after start.",
        next_step="Nothing by itself.",
    ),
    _hal(
        pattern="Hal",
        role=Role.CONTIGUOUS,
        holds="Memory of the hardware layer, mostly map registers and adapters for DMA.",
        growth=(
            "Follows devices that cannot address all memory; growth is a driver that does not return its "
            "DMA adapter or map registers."
        ),
        next_step="`!dma` lists adapters and their owners.",
    ),
    _hal(
        pattern="HAL",
        role=Role.CONTIGUOUS,
        holds="Unsure: an upper-case spelling that is not published; probably the hardware abstraction layer.",
        growth="Unknown; read it like Hal.",
        next_step="`!dma`, and `!poolfind HAL` with `dps` on the blocks.",
    ),
    _po(
        pattern="Mem",
        role=Role.OTHER,
        holds="Memory of the power manager.",
        growth="Follows requests, policies and hibernation.",
        next_step="`powercfg /requests`.",
    ),
    _po(
        pattern="PoSL",
        role=Role.OTHER,
        holds="Events to be signalled at shutdown.",
        growth="Few.",
        next_step="Nothing by itself.",
    ),
    _po(
        pattern="DOPE",
        role=Role.OTHER,
        holds="Power state of device objects.",
        growth="One per device object with power management.",
        next_step="Read it beside Devi.",
    ),
    _watchdog(
        pattern="Wdog",
        role=Role.OTHER,
        holds="Watchdog contexts of display drivers.",
        growth="Few.",
        next_step="Update the display driver.",
    ),
    _usb(
        pattern="USBD",
        role=Role.IO,
        holds="The USB class library.",
        growth="Follows USB devices and requests.",
        next_step="`!usbkd.usb2tree` or `!usb3kd.usb_tree`.",
    ),
    _usb(
        pattern="usbp",
        role=Role.IO,
        holds="The USB port driver; Microsoft's list does not name this spelling.",
        growth="Follows host controllers and transfers.",
        next_step="`!usbkd.usb2tree`; update the chipset's drivers.",
    ),
    _usb(
        pattern="UHCD",
        role=Role.IO,
        holds="The UHCI host controller driver of old systems.",
        growth="Follows transfers.",
        next_step="Update the chipset's drivers.",
    ),
    _usb(
        pattern="UHUB",
        role=Role.IO,
        holds="USB hubs.",
        growth="Follows ports and devices; growth means a device that reconnects all the time.",
        next_step="System event log; remove USB devices one at a time.",
    ),
    _hid(
        pattern="HidC",
        role=Role.IO,
        holds="The class driver of keyboards, mice and other input devices.",
        growth=(
            "Follows devices and pending reads; growth means reports that nobody reads, or a device that reconnects."
        ),
        next_step="`!hidkd.hidtree`; remove input devices one at a time.",
    ),
    _hidp(
        pattern="HidP",
        role=Role.IO,
        holds="Parsed descriptions of input devices.",
        growth="Follows devices.",
        next_step="`!hidkd.hidtree`.",
    ),
    _kbd(
        pattern="KbdC",
        role=Role.IO,
        holds="The keyboard class driver.",
        growth="Follows keyboards; remote sessions make virtual ones.",
        next_step="`!devnode 0 1`.",
    ),
    _mou(
        pattern="MouC",
        role=Role.IO,
        holds="The mouse class driver.",
        growth="Follows mice; remote sessions make virtual ones.",
        next_step="`!devnode 0 1`.",
    ),
    _audio(
        pattern="PcNw",
        role=Role.IO,
        holds="Objects made by audio drivers through the port class's operator new.",
        growth="Follows audio streams; growth is an audio driver that does not delete its objects.",
        next_step="Update the audio driver; disable it to test.",
    ),
    _audio(
        pattern="Pc??",
        role=Role.OTHER,
        holds="Audio port class for the second letter large; with a small one the packet scheduler or PC card driver.",
        growth="Follows audio streams, packets or cards.",
        next_step="Look up the exact tag in pooltag.txt.",
    ),
    _audio(
        pattern="KS??",
        role=Role.IO,
        holds="Kernel streaming: audio, video and camera streams.",
        growth="Follows open streams; growth is a streaming driver or a program that leaves streams open.",
        next_step="Update the audio and camera drivers; disable them to test.",
    ),
    _bth(
        pattern="BTHP",
        role=Role.IO,
        holds="The Bluetooth port driver.",
        growth="Follows connections and devices nearby.",
        next_step="Disable the Bluetooth adapter to test.",
    ),
    _bat(
        pattern="Bat?",
        role=Role.OTHER,
        holds="Batteries.",
        growth="Follows polling of batteries.",
        next_step="Stop battery monitors to test.",
    ),
)

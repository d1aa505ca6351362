"""Types of kernel objects in memory, and the headers in front of objects.

From public symbols, and public descriptions of how the index of a type is disguised since Windows 10. Before Windows 7
a header has the address of its type.
"""

from dataclasses import dataclass

from poolsleuth.lab.scene import Scene

WINDOWS_7, WINDOWS_10 = 7600, 10240
TYPES = (
    "Type", "Directory", "SymbolicLink", "Token", "Job", "Process", "Thread", "UserApcReserve", "IoCompletionReserve",
    "DebugObject", "Event", "EventPair", "Mutant", "Callback", "Semaphore", "Timer", "Profile", "KeyedEvent",
    "WindowStation", "Desktop", "TpWorkerFactory", "Adapter", "Controller", "Device", "Driver", "IoCompletion", "File",
    "Section", "Key",
)  # fmt: skip
_FIRST_INDEX = 2
_OLD_HEADER = {
    4: {"PointerCount": 0, "HandleCount": 4, "Type": 8, "QuotaInfoOffset": 0xE, "Body": 0x18},
    8: {"PointerCount": 0, "HandleCount": 8, "Type": 0x10, "QuotaInfoOffset": 0x1A, "Body": 0x30},
}
_OLD_TYPE = {4: (0x40, 0x190), 8: (0x78, 0x2C0)}  # offset of the name, and bytes, before Windows 7
_QUOTA = {4: 0x10, 8: 0x20}
_QUOTA_BIT = 8  # of InfoMask
_TABLE_ROWS = 256


@dataclass(frozen=True, slots=True)
class ObjectHeaders:
    """How the headers of one machine's objects look. ``keys`` are the types' indices, or their addresses."""

    pointer: int
    build: int
    fields: dict[str, int]
    keys: dict[str, int]
    cookie: int

    @property
    def body(self) -> int:
        """Bytes of a header."""
        return self.fields["Body"]

    def write(self, name: str, at: int, *, handles: int, references: int, quota: bool) -> bytes:
        """All headers of an object of that type, the optional one first, for a block whose data begins at ``at``."""
        front = _QUOTA[self.pointer] if quota else 0
        data = bytearray(front + self.body)

        def put(field: str, value: int, width: int) -> None:
            offset = front + self.fields[field]
            data[offset : offset + width] = value.to_bytes(width, "little")

        put("PointerCount", references, self.pointer)
        put("HandleCount", handles, self.pointer)
        if self.build < WINDOWS_7:
            put("Type", self.keys[name], self.pointer)
            put("QuotaInfoOffset", front, 1)
            return bytes(data)
        index = self.keys[name]
        if self.build >= WINDOWS_10:
            index ^= self.cookie ^ (at + front >> 8 & 0xFF)
        put("TypeIndex", index, 1)
        put("InfoMask", _QUOTA_BIT if quota else 0, 1)
        return bytes(data)


def write_object_types(scene: Scene) -> ObjectHeaders | None:
    """Put the types where this Windows keeps them; None where the lab does not know how objects look there."""
    build, pointer = scene.layout.windows.build, scene.pointer
    cookie = (scene.machine.seed * 37 + 0x5B) & 0xFF
    fields = _fields(scene)
    if fields is None:
        return None
    old = build < WINDOWS_7
    size = _OLD_TYPE[pointer][1] if old else scene.layout.size("_OBJECT_TYPE")
    body = fields["Body"]
    places = {name: scene.nonpaged.reserve(body + size) + body for name in TYPES}
    keys = places if old else {name: number + _FIRST_INDEX for number, name in enumerate(TYPES)}
    headers = ObjectHeaders(pointer, build, fields, dict(keys), cookie)
    for number, (name, address) in enumerate(places.items()):
        text = scene.unicode_string(name, scene.nonpaged)
        if old:
            at = _OLD_TYPE[pointer][0]
            data = bytearray(size)
            data[at : at + len(text)] = text
        else:
            record = scene.layout.record("_OBJECT_TYPE")
            record.set("Name", text)
            record.set("Index", number + _FIRST_INDEX)
            data = bytearray(bytes(record))
        front = headers.write("Type", address - body, handles=0, references=2, quota=False)
        scene.nonpaged.put(address - body, front + bytes(data))
    if old:
        return headers if scene.image.put("ObpTypeObjectType", places["Type"]) else None
    rows = [0, 0, *places.values()]
    table = b"".join(scene.word(row) for row in rows).ljust(_TABLE_ROWS * pointer, b"\0")
    known = scene.image.put("ObTypeIndexTable", table)
    if build >= WINDOWS_10:
        known &= scene.image.put("ObHeaderCookie", cookie, 1)
    return headers if known else None


def _fields(scene: Scene) -> dict[str, int] | None:
    if scene.layout.windows.build < WINDOWS_7:
        return dict(_OLD_HEADER[scene.pointer])
    found = {}
    for name in ("PointerCount", "HandleCount", "TypeIndex", "InfoMask", "Body"):
        place = scene.layout.place("_OBJECT_HEADER", name)
        if place is None:
            return None
        found[name] = place.offset
    return found

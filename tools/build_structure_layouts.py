"""Makes ``src/poolsleuth/windows/data/structure_layouts.json`` out of sizes and offsets of structures of 30 kernels.

    python tools/build_structure_layouts.py STRUCT_OFFSETS.json

The input holds facts found in public symbol files: ``{"profiles": {key: {"build", "arch", "name", "structs": {name:
{"size", "fields": {name: [offset, type] or [offset, type, first bit, bit after last]}}}}}}``. Taken are the structures
and fields that ``wanted_symbols`` lists; of builds from 10240 on, whose layouts move with servicing updates, only those
that a reader can check against a dump. Equal layouts are written once.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from poolsleuth.windows.wanted_symbols import STRUCTURES

OUT = Path(__file__).parents[1] / "src" / "poolsleuth" / "windows" / "data" / "structure_layouts.json"
FIRST_MOVING = 10240
CHECKABLE = (
    "_POOL_HEADER", "_POOL_TRACKER_TABLE", "_POOL_TRACKER_BIG_PAGES", "_KLDR_DATA_TABLE_ENTRY", "_UNLOADED_DRIVERS",
    "_ERESOURCE", "_OWNER_ENTRY", "_EPROCESS", "_KPROCESS", "_ETHREAD", "_KTHREAD",
)  # fmt: skip
# The module entry of the kernel is written by the reader of these layouts: the input has that of user mode instead
LEFT_OUT = ("_LDR_DATA_TABLE_ENTRY",)
# Nobody reads it, and it moves with servicing updates even in Windows 7
FIELD_LEFT_OUT = "MmProcessLinks"
BASES = {
    "unsigned char": 1, "short": 2, "unsigned short": 2, "long": 4, "unsigned long": 4, "long long": 8,
    "unsigned long long": 8, "enum": 4, "_LARGE_INTEGER": 8,
}  # fmt: skip
POINTERS = {"_LIST_ENTRY": 2, "_UNICODE_STRING": 2, "_CLIENT_ID": 2, "_EX_PUSH_LOCK": 1, "_SINGLE_LIST_ENTRY": 1}
ARRAY = re.compile(r"(.+?)((?:\[\d+\])+)$")

Encoded = list[int | None]


def element(kind: str, pointer: int, structs: dict[str, Any]) -> int | None:
    """Bytes of one element of a type; None when the input does not tell."""
    if kind.startswith("ptr"):
        return pointer
    if kind in POINTERS:
        return POINTERS[kind] * pointer
    return BASES.get(kind) or structs.get(kind, {}).get("size")


def encode(field: list[Any], base: int, pointer: int, structs: dict[str, Any]) -> Encoded:
    """Offset, size, first bit, bits and count, without what is missing at the end."""
    offset, kind, *bits = field
    count = 1
    array = ARRAY.fullmatch(kind)
    if array:
        kind = array[1]
        for part in re.findall(r"\d+", array[2]):
            count *= int(part)
    each = element(kind, pointer, structs)
    out: Encoded = [base + offset, None if each is None else each * count]
    out += [bits[0], bits[1] - bits[0]] if bits else [None, None]
    out.append(count if count > 1 else None)
    while out[-1] is None:
        out.pop()
    return out


def fields_of(name: str, pointer: int, structs: dict[str, Any]) -> dict[str, Encoded]:
    """The wanted fields of a structure; those of an embedded one under its dotted name."""
    found: dict[str, Encoded] = {}
    for wanted in STRUCTURES[name]:
        *path, last = wanted.split(".")
        base, inner = 0, name
        for part in path:
            step = structs.get(inner, {}).get("fields", {}).get(part)
            if step is None:
                break
            base, inner = base + step[0], step[1]
        else:
            for field, place in structs.get(inner, {}).get("fields", {}).items():
                if last in ("*", field) and field != FIELD_LEFT_OUT:
                    found[".".join([*path, field])] = encode(place, base, pointer, structs)
    return found


def main(source: Path) -> None:
    """Write the file."""
    layouts: list[Any] = []
    numbers: dict[str, int] = {}
    profiles = []
    for key, profile in json.loads(source.read_text())["profiles"].items():
        structs, pointer = profile["structs"], 4 if profile["arch"] == "x86" else 8
        # The input names it without its fields
        client = {"UniqueProcess": [0, "ptr"], "UniqueThread": [pointer, "ptr"]}
        structs.setdefault("_CLIENT_ID", {"size": 2 * pointer, "fields": client})
        pack = re.search(r"_sp(\d)_", key)
        taken: dict[str, int] = {}
        for name in STRUCTURES:
            moving = profile["build"] >= FIRST_MOVING
            if name not in structs or name in LEFT_OUT or (moving and name not in CHECKABLE):
                continue
            layout = [structs[name]["size"], fields_of(name, pointer, structs)]
            text = json.dumps(layout, sort_keys=True)
            if text not in numbers:
                numbers[text] = len(layouts)
                layouts.append(layout)
            taken[name] = numbers[text]
        profiles.append(
            {
                "name": profile["name"],
                "build": profile["build"],
                "architecture": profile["arch"],
                "service_pack": int(pack[1]) if pack else None,
                "pte": structs["_MMPTE_HARDWARE"]["size"],
                "structures": taken,
            }
        )
    lines = [json.dumps(layout, separators=(",", ":")) for layout in layouts]
    rows = [json.dumps(profile, separators=(",", ":")) for profile in profiles]
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(
        '{"comment":"Sizes and offsets of structures, as found in public symbol files. Made by '
        'tools/build_structure_layouts.py. A field: offset, size, first bit, bits, count.",\n"layouts":[\n'
        + ",\n".join(lines) + '\n],\n"profiles":[\n' + ",\n".join(rows) + "\n]}\n",
        "utf-8",
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What the numbers in the headers of images are called by the debugger."""

MACHINES = {0x14C: "i386", 0x8664: "X64", 0xAA64: "ARM64", 0x200: "IA64", 0x1C4: "ARM"}
SUBSYSTEMS = {
    1: "Native",
    2: "Windows GUI",
    3: "Windows CUI",
    10: "EFI Application",
    11: "EFI Boot Service Driver",
    12: "EFI Runtime Driver",
    16: "Windows Boot Application",
}
FILE_FLAGS = (
    (0x1, "Relocations stripped"),
    (0x2, "Executable"),
    (0x4, "Line numbers stripped"),
    (0x8, "Symbols stripped"),
    (0x20, "App can handle >2gb addresses"),
    (0x100, "32 bit word machine"),
    (0x200, "Debug information stripped"),
    (0x1000, "System"),
    (0x2000, "DLL"),
)
DLL_FLAGS = (
    (0x20, "High entropy VA supported"),
    (0x40, "Dynamic base"),
    (0x80, "Force integrity"),
    (0x100, "NX compatible"),
    (0x200, "No isolation"),
    (0x400, "No structured exception handler"),
    (0x800, "Do not bind"),
    (0x2000, "WDM driver"),
    (0x4000, "Guard"),
    (0x8000, "Terminal server aware"),
)
DIRECTORIES = (
    "Export",
    "Import",
    "Resource",
    "Exception",
    "Security",
    "Base Relocation",
    "Debug",
    "Description",
    "Special",
    "Thread Storage",
    "Load Configuration",
    "Bound Import",
    "Import Address Table",
    "Delay Import",
    "COR20 Header",
    "Reserved",
)
_SECTION_FLAGS = (
    (0x20, "Code"),
    (0x40, "Initialized Data"),
    (0x80, "Uninitialized Data"),
    (0x2000000, "Discardable"),
    (0x4000000, "Not Cached"),
    (0x8000000, "Not Paged"),
    (0x10000000, "Shared"),
)
_ACCESS = ((0x20000000, "Execute"), (0x40000000, "Read"), (0x80000000, "Write"))


def section_words(flags: int) -> list[str]:
    """The characteristics of a section in the debugger's words, a line each."""
    words = [word for bit, word in _SECTION_FLAGS if flags & bit]
    align = flags >> 20 & 0xF
    words.append(f"({1 << align - 1} byte align)" if align else "(no align specified)")
    access = [word for bit, word in _ACCESS if flags & bit]
    if access:
        words.append(" ".join(access))
    return words

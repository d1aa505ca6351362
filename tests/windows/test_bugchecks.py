import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.windows.bugchecks import code_of, decode_tag_argument, name_of, note, tag_argument_of

ASKED_FOR = [
    *(0x19, 0xC2, 0xC5, 0xC6, 0xC9, 0xC4, 0xC1, 0xCC, 0xCD, 0xCE, 0xD0, 0xD5, 0xD6, 0xD1, 0xA, 0xDE, 0x13A, 0x139),
    *(0x3F, 0xD8, 0xDA, 0x41, 0xD7, 0x4E, 0x50, 0x1A, 0x1E, 0x3B, 0x7E, 0x1000007E, 0x8E, 0x24, 0xF4, 0xEF, 0x9F),
    *(0x7F, 0x101, 0x133, 0x124, 0xE2, 0x161, 0x13C, 0x9C, 0x116, 0x51, 0x77, 0x7A, 0x2D, 0xBE, 0xFC, 0xF7, 0x109),
    *(0x15F, 0x1AA),
]


@pytest.mark.parametrize("code", ASKED_FOR)
def test_every_code_has_a_name_and_says_something(code: int) -> None:
    found = note(code)

    assert found is not None
    assert found.says.endswith(".")
    name = name_of(code)
    assert name is not None
    assert code_of(name) == code


@pytest.mark.parametrize(
    ("code", "name", "about"),
    [
        (0x19, "BAD_POOL_HEADER", "pool-corruption"),
        (0xC2, "BAD_POOL_CALLER", "pool-corruption"),
        (0xC5, "DRIVER_CORRUPTED_EXPOOL", "pool-corruption"),
        (0xD0, "DRIVER_CORRUPTED_MMPOOL", "pool-corruption"),
        (0xC4, "DRIVER_VERIFIER_DETECTED_VIOLATION", "verifier"),
        (0xC1, "SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION", "special-pool"),
        (0x41, "MUST_SUCCEED_POOL_EMPTY", "pool-depletion"),
        (0x3F, "NO_MORE_SYSTEM_PTES", "pte-depletion"),
        (0xD8, "DRIVER_USED_EXCESSIVE_PTES", "pte-depletion"),
        (0x4D, "NO_PAGES_AVAILABLE", "commit"),
        (0xE3, "RESOURCE_NOT_OWNED", "resource-lock"),
        (0xD1, "DRIVER_IRQL_NOT_LESS_OR_EQUAL", "not-pool"),
        (0xDA, "SYSTEM_PTE_MISUSE", "not-pool"),
        (0xE2, "MANUALLY_INITIATED_CRASH", "not-pool"),
    ],
)
def test_what_a_bug_check_is_about(code: int, name: str, about: str) -> None:
    found = note(code)
    assert found is not None
    assert (found.code, found.name, found.about) == (code, name, about)


def test_minidump_codes_share_the_note_and_keep_their_name() -> None:
    assert note(0x1000007E) is note(0x7E)
    assert name_of(0x1000007E) == "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED_M"
    assert name_of(0x100000D1) == "DRIVER_IRQL_NOT_LESS_OR_EQUAL"


@pytest.mark.parametrize("code", [-1, 0, 0x5454414D, 0x20000019, 1 << 40])
def test_an_unknown_code_is_none(code: int) -> None:
    assert note(code) is None
    assert name_of(code) is None


def test_a_name_is_found_in_any_dress() -> None:
    assert code_of("bad_pool_header") == 0x19
    assert code_of("DRIVER_VERIFIER_DETECTED_VIOLATION (c4)") == 0xC4
    assert code_of("KERNEL_MODE_EXCEPTION_NOT_HANDLED_M (1000008e)") == 0x1000008E
    assert code_of("SOMETHING_ELSE") is None


@pytest.mark.parametrize(
    ("code", "subcodes"),
    [
        (0x19, [2, 3, 5, 6, 7, 8, 9, 0xA, 0xD, 0xE, 0xF, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25]),
        (
            0xC2,
            [0, 1, 2, 4, 6, 7, 8, 9, 0xA, 0xB, 0xC, 0xD, 0x40, 0x41, 0x42, 0x43, 0x44, 0x46, 0x47, 0x48, 0x99, 0x9B],
        ),
        (0xC4, [0, 1, 2, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x51, 0x52, 0x53, 0x54, 0x60, 0x61, 0x62]),
        (0x13A, list(range(3, 0x17))),
        (0x3F, [0, 1]),
    ],
)
def test_the_subcodes_of_parameter_1(code: int, subcodes: list[int]) -> None:
    found = note(code)
    assert found is not None
    assert all(found.arg1[subcode] for subcode in subcodes)


def test_subcodes_that_decide_a_diagnosis() -> None:
    header, verifier = note(0x19), note(0xC4)

    assert header is not None
    assert "tracking entry" in header.arg1[0x22]
    assert "twice" in header.arg1[0x22]
    # A real output: "Arg4: 00000003, total # of (paged+nonpaged) allocations that weren't freed."
    assert verifier is not None
    assert "parameter 4 is the number of allocations left" in verifier.arg1[0x62]


def test_which_parameter_holds_a_tag_depends_on_the_subcode() -> None:
    assert tag_argument_of(0xC2, 0x0) == 4
    assert tag_argument_of(0xC2, 0xA) == 3
    assert tag_argument_of(0xC2, 0x7) is None
    assert tag_argument_of(0x19, 0x22) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0x65657246, ("Free", False)),
        (0xE5657246, ("Free", True)),
        (0x206F6649, ("Ifo", False)),
        (0x6D436D4D, ("MmCm", False)),
        (0x656E6F4E, ("None", False)),
        (0x00000041, None),  # bytes that are not printable
        (0x7F414141, None),
        (0x20202020, None),  # nothing but blanks
        (0, None),
        (-1, None),
        (0x1_65657246, None),
    ],
)
def test_a_parameter_read_as_a_tag(value: int, expected: tuple[str, bool] | None) -> None:
    assert decode_tag_argument(value) == expected


@given(st.integers(-(1 << 65), 1 << 65) | st.integers(0, 0xFFFF_FFFF))
def test_decoding_never_raises_and_round_trips(value: int) -> None:
    found = decode_tag_argument(value)
    if found is not None:
        tag, protected = found
        assert 1 <= len(tag) <= 4
        assert int.from_bytes(tag.ljust(4).encode("ascii"), "little") | (protected << 31) == value

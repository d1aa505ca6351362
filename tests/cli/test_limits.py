import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli.limits import limits

MB, GB = 1 << 20, 1 << 30


def run(*arguments: str) -> Result:
    return CliRunner().invoke(limits, arguments)


def run_json(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not strict JSON")

    document: dict[str, Any] = json.loads(result.output, parse_constant=refuse)
    return document


def test_json_of_a_3gb_server() -> None:
    document = run_json("--os", "2003", "--ram", "3405680Kb", "--3gb")

    assert list(document) == ["os", "bits", "ram_bytes", "pools", "notes"]
    assert (document["os"], document["bits"], document["ram_bytes"]) == ("Windows Server 2003", 32, 3405680 * 1024)
    nonpaged, paged = document["pools"]["nonpaged"], document["pools"]["paged"]
    assert list(nonpaged) == ["low_bytes", "high_bytes", "rule", "source", "contradiction"]
    # "the maximum nonpaged pool is 128MB"
    assert (nonpaged["low_bytes"], nonpaged["high_bytes"], nonpaged["contradiction"]) == (128 * MB, 128 * MB, None)
    assert (paged["low_bytes"], paged["high_bytes"]) == (None, 650 * MB)
    assert "530 MB" in paged["contradiction"]


def test_json_of_a_modern_server() -> None:
    document = run_json("--os", "2019", "--ram", "32GB", "--commit", "40GB")

    assert document["bits"] == 64
    assert document["pools"]["nonpaged"]["high_bytes"] == 32 * GB
    assert document["pools"]["paged"]["high_bytes"] == 40 * GB
    assert "address space" in document["pools"]["paged"]["rule"]


@pytest.mark.parametrize(
    ("arguments", "bits", "note"),
    [
        (["--os", "2003", "--ram", "4GB"], 32, "32-bit was assumed"),
        (["--os", "2003", "--ram", "8GB"], 64, "more than 4 GB"),
        (["--os", "2003", "--ram", "8GB", "--3gb"], 32, "because /3GB"),
        (["--os", "7"], 64, "64-bit was assumed"),
        (["--os", "7", "--bits", "32"], 32, None),
        (["--os", "2008r2"], 64, None),
        (["--os", "xp x64"], 64, None),
        (["--os", "2000"], 32, None),
    ],
)
def test_an_assumed_width_is_said(arguments: list[str], bits: int, note: str | None) -> None:
    document = run_json(*arguments)

    assert document["bits"] == bits
    if note is None:
        assert not any("assumed" in line for line in document["notes"])
    else:
        assert note in document["notes"][0]


def test_the_table_fits_80_columns_without_colour() -> None:
    result = CliRunner().invoke(limits, ["--os", "2012", "--ram", "16GB"], env={"COLUMNS": "80"})

    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    assert "\x1b" not in result.output
    assert "16 GB to 32 GB" in result.output
    assert "17179869184" in result.output
    assert "34359738368 bytes" in result.output
    assert "Contradiction" in result.output


def test_the_table_says_what_is_not_known_and_what_is_an_upper_bound() -> None:
    assert "not known" in run("--os", "2019").output
    assert "up to 650 MB" in run("--os", "2003").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--os", "beos"], "2008R2"),
        (["--os", "7", "--ram", "lots"], "such as 512MB"),
        (["--os", "7", "--commit", "0"], "above zero"),
        (["--os", "7", "--bits", "16"], "16"),
        (["--os", "2008r2", "--bits", "32"], "leave out --bits 32"),
        (["--os", "7", "--bits", "64", "--3gb"], "give --bits 32"),
        (["--os", "11", "--3gb"], "leave out --3gb."),
        ([], "--os"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_remedy(arguments: list[str], words: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output

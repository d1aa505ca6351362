"""The logman commands, and that they log what the diagnosis reads."""

from dataclasses import replace

import pytest

from poolsleuth.collect.counters import clock, create_command, objects, runs_out, start_command, stop_commands
from poolsleuth.collect.request import DAY, HOUR, Request
from poolsleuth.windows import counters as known_counters
from poolsleuth.windows.builds import WindowsVersion, parse_os_name

A_DAY = Request(windows=None, duration=DAY, interval=300, max_mb=300, folder="C:\\PoolLogs")


def windows(name: str) -> WindowsVersion:
    match = parse_os_name(name)
    assert match is not None
    return match.version


# They tell again what another object tells on every Windows: read where a log holds them, not asked for
TWINS = {"processor information", "process v2", "tcpv6"}


def test_every_object_that_the_diagnosis_reads_is_logged_and_no_other() -> None:
    read = {object_ for object_, _ in known_counters._KNOWN} - TWINS
    assert {name.removesuffix("(*)").lower() for name in objects(A_DAY)} == read


def test_older_windows_lack_some_objects() -> None:
    assert "TCPv4" not in objects(replace(A_DAY, windows=windows("2000")))
    assert "NUMA Node Memory(*)" not in objects(replace(A_DAY, windows=windows("2003")))


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "00:00:01"), (300, "00:05:00"), (DAY, "24:00:00"), (99 * HOUR + 3599, "99:59:59")]
)
def test_clock(seconds: int, text: str) -> None:
    assert clock(seconds) == text


def test_the_command_has_the_options_of_the_published_procedure() -> None:
    # Logman.exe create counter PerfLog-Long -o "c:\perflogs\...blg" -f bincirc -v mmddhhmm -max 300 -c ... -si 00:05:00
    command = create_command(A_DAY)
    assert command.startswith("logman create counter poolsleuth-counters -o ")
    for words in ("-f bincirc", "-v mmddhhmm", "-max 300", "-si 00:05:00", r'"\Memory\*"', r'"\Process(*)\*"'):
        assert f" {words}" in command


@pytest.mark.parametrize("name", ["xp", "2003"])
def test_older_windows_get_square_brackets_and_no_run_time(name: str) -> None:
    # A comment under the procedure: "One needs to place square brackets around the interval ... on server 2003."
    command = create_command(replace(A_DAY, windows=windows(name)))
    assert " -si [00:05:00] " in command
    assert " -rf " not in command


@pytest.mark.parametrize("name", ["vista", "2008", "7", "2008r2", "2012", "2016", "11"])
def test_newer_windows_get_a_run_time(name: str) -> None:
    assert " -si 00:05:00 -rf 24:00:00 -c " in create_command(replace(A_DAY, windows=windows(name)))


def test_a_long_run_needs_the_stop_command() -> None:
    assert runs_out(replace(A_DAY, duration=100 * HOUR - 1))
    assert not runs_out(replace(A_DAY, duration=100 * HOUR))


def test_every_command_goes_to_the_remote_machine() -> None:
    request = replace(A_DAY, remote="SRV1")
    for command in (create_command(request), start_command(request), *stop_commands(request)):
        assert " poolsleuth-counters -s SRV1" in command
    assert r'-o "C:\PoolLogs\SRV1_pool.blg"' in create_command(request)

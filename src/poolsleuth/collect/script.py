"""The files that collect by themselves on the machine: two .cmd, the local counter names, a profile, a README.

All are ASCII with CRLF: older command prompts lose their place in files with bare line feeds. Nothing typed by a
person stands in them but what ``request`` has checked; of a tag, only its filter.
"""

from collections.abc import Iterator

from poolsleuth.collect import counters, trace
from poolsleuth.collect.plan import make_plan, snapshot_command, takes_snapshots
from poolsleuth.collect.request import Request, span_text
from poolsleuth.collect.text import plan_lines

COLLECT = "collect.cmd"
STOP = "stop.cmd"
NAMES = "create-counters.ps1"
README = "README.txt"
_FLAG = "stop.now"  # its appearance in the folder ends the loop


def script_files(request: Request) -> dict[str, str]:
    """Name and text of each file. Raises ValueError where the Windows has nothing that a script could start."""
    if not request.has_logman:
        raise ValueError("Windows 2000 has no logman for a script to start: leave out --script for the steps by hand.")
    files = {COLLECT: _text(_collect(request)), STOP: _text(_stop(request))}
    if _uses_names(request):
        files[NAMES] = _text(_names(request))
    if _uses_wpr(request):
        files[trace.PROFILE] = trace.wpr_profile(request).replace("\n", "\r\n")
    files[README] = _text(_readme(request, tuple(files)))
    return files


def _text(lines: Iterator[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _uses_names(request: Request) -> bool:
    return request.counters and request.remote is None and request.has_powershell


def _uses_wpr(request: Request) -> bool:
    return bool(request.tags) and request.has_wpr


def _collect(request: Request) -> Iterator[str]:
    yield "@echo off"
    yield "rem Collects what tells a pool leak from load. Made by poolsleuth collect. Run as administrator."
    yield "setlocal EnableExtensions DisableDelayedExpansion"
    yield f'set "OUT={request.folder}"'
    yield f"set ROUNDS={request.snapshots}"
    yield "set ROUND=0"
    yield "set STARTED="
    yield r'if not exist "%OUT%\." mkdir "%OUT%"'
    yield r'if not exist "%OUT%\." goto nofolder'
    if request.remote is not None:
        yield rf'if not exist "{request.log_folder}\." mkdir "{request.log_folder}"'
    yield rf'if exist "%OUT%\{_FLAG}" del "%OUT%\{_FLAG}"'
    if request.counters:
        yield from _start_counters(request)
    if request.tags:
        yield from _start_trace(request)
    if takes_snapshots(request):
        yield from _find("POOLMON", "poolmon.exe")
        yield "if defined POOLMON set STARTED=1"
        yield "if not defined POOLMON echo poolmon.exe is neither beside this file nor in the PATH: no tags are listed."
    yield "if not defined STARTED goto nothing"
    yield (
        f"echo Collecting for {span_text(request.duration)} into %OUT%. Leave this window open. {STOP} ends it earlier."
    )
    yield ":round"
    yield "set /a ROUND+=1"
    if takes_snapshots(request):
        yield "if defined POOLMON call :snapshot"
    # ping waits on every Windows and without a keyboard; timeout.exe does not
    yield f"ping -n {request.snapshot_interval + 1} 127.0.0.1 >nul"
    yield rf'if exist "%OUT%\{_FLAG}" goto stopped'
    yield "if %ROUND% LSS %ROUNDS% goto round"
    yield f'call "%~dp0{STOP}"'
    yield ":stopped"
    if takes_snapshots(request):
        yield "if defined POOLMON call :snapshot"
    yield rf'if exist "%OUT%\{_FLAG}" del "%OUT%\{_FLAG}"'
    yield f"echo Done. What to send: see {README}."
    yield "exit /b 0"
    yield ":nofolder"
    yield "echo The folder %OUT% cannot be made. Choose another with --out."
    yield "exit /b 1"
    yield ":nothing"
    yield "echo Nothing could be started. Run this file as administrator."
    yield "exit /b 1"
    if takes_snapshots(request):
        yield from _snapshot(request)


def _start_counters(request: Request) -> Iterator[str]:
    for command in counters.stop_commands(request):
        yield f"{command} >nul 2>nul"
    if _uses_names(request):
        yield f'powershell -NoProfile -ExecutionPolicy Bypass -File "%~dp0{NAMES}"'
        yield f"if errorlevel 1 {counters.create_command(request)}"
    else:
        yield counters.create_command(request)
    yield f"if not errorlevel 1 {counters.start_command(request)}"
    yield "if not errorlevel 1 set STARTED=1"
    yield "if errorlevel 1 echo The counters could not be started. Is this window opened as administrator?"


def _start_trace(request: Request) -> Iterator[str]:
    yield from _find("XPERF", "xperf.exe")
    yield f"if defined XPERF {_xperf(trace.xperf_start(request))} && set STARTED=1"
    if not _uses_wpr(request):
        yield "if not defined XPERF echo xperf.exe is neither beside this file nor in the PATH: no trace is taken."
        return
    yield "set WPR="
    yield 'if not defined XPERF for %%p in (wpr.exe) do set "WPR=%%~$PATH:p"'
    yield f"if defined WPR {trace.wpr_start('%~dp0')} && set STARTED=1"
    yield "if not defined XPERF if not defined WPR echo Neither xperf nor wpr is in the PATH: no trace is taken."


def _xperf(command: str) -> str:
    """The command with the program that was found."""
    return '"%XPERF%"' + command.removeprefix("xperf")


def _find(variable: str, program: str) -> Iterator[str]:
    """Look beside the script first, then in the PATH; the variable stays undefined when it is in neither place."""
    yield f'set "{variable}=%~dp0{program}"'
    yield f'if not exist "%{variable}%" set {variable}='
    yield f'if not defined {variable} for %%p in ({program}) do set "{variable}=%%~$PATH:p"'


def _snapshot(request: Request) -> Iterator[str]:
    log = rf'"%OUT%\{request.host}_poolmon.log"'
    scratch = r'"%OUT%\poolmon.tmp"'
    yield ":snapshot"
    yield "set NOW="
    if request.has_powershell:
        # The round-trip form of .NET is the same in every language and carries the offset to UTC
        yield "for /f %%t in ('powershell -NoProfile -Command \"Get-Date -Format o\"') do set NOW=%%t"
    else:
        # WMI's own form of a time, yyyymmddHHMMSS, is the same in every language. The digits are cut out because
        # wmic ends its lines with an additional carriage return.
        yield "set STAMP="
        yield "for /f \"tokens=2 delims==\" %%t in ('wmic os get LocalDateTime /value') do set STAMP=%%t"
        yield (
            "if defined STAMP set NOW=%STAMP:~0,4%-%STAMP:~4,2%-%STAMP:~6,2%T%STAMP:~8,2%:%STAMP:~10,2%:%STAMP:~12,2%"
        )
    yield "if not defined NOW set NOW=%DATE% %TIME%"
    yield f"if exist {scratch} del {scratch}"
    program = '"%POOLMON%"'
    yield f"{snapshot_command(program, scratch, request)} >nul"
    yield f"if not exist {scratch} exit /b 1"
    # A digit just before >> would be taken for a handle, so the redirection stands first
    yield f">>{log} echo %NOW%"
    yield f"type {scratch} >>{log}"
    yield f"del {scratch}"
    yield "exit /b 0"


def _stop(request: Request) -> Iterator[str]:
    yield "@echo off"
    yield "rem Stops what collect.cmd started; the logs stay. Run as administrator."
    yield "setlocal EnableExtensions DisableDelayedExpansion"
    yield f'set "OUT={request.folder}"'
    yield rf'>"%OUT%\{_FLAG}" echo stop'
    if request.tags:
        # Only one of the two is running; the other one says so, which helps nobody
        yield from _find("XPERF", "xperf.exe")
        yield f"if defined XPERF {_xperf(trace.xperf_stop(request))}"
        if _uses_wpr(request):
            yield f"if not defined XPERF {trace.wpr_stop(request)}"
    if request.counters:
        for command in counters.stop_commands(request):
            yield f"{command} >nul 2>nul"
    yield "exit /b 0"


def _names(request: Request) -> Iterator[str]:
    """A script that makes the collector with the local names of its objects.

    "Retrieving Counter Names and Help Text" (Performance Counters): names are stored per language as pairs of number
    and name; an object has the same number in each. 009 is English, CurrentLanguage what Windows shows.
    """
    quoted = ", ".join(f"'{name}'" for name in counters.objects(request))
    words = ", ".join(f"'{word}'" for word in counters.options(request))
    host = request.host.replace("%COMPUTERNAME%", "${env:COMPUTERNAME}")
    yield "# Makes the counter log with the names that this Windows gives its objects. Exit code: that of logman."
    yield "$ErrorActionPreference = 'Stop'"
    yield "trap { Write-Host $_; exit 1 }"
    yield "$perflib = 'HKLM:\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Perflib'"
    yield '$english = @((Get-ItemProperty -Path "$perflib\\009" -Name Counter).Counter)'
    yield '$local = @((Get-ItemProperty -Path "$perflib\\CurrentLanguage" -Name Counter).Counter)'
    yield "$numbers = @{}"
    yield "for ($i = 0; $i + 1 -lt $english.Count; $i += 2) {"
    yield "    $name = $english[$i + 1]"
    yield "    if ($name -and -not $numbers.ContainsKey($name)) { $numbers[$name] = $english[$i] }"
    yield "}"
    yield "$names = @{}"
    yield "for ($i = 0; $i + 1 -lt $local.Count; $i += 2) { $names[$local[$i]] = $local[$i + 1] }"
    yield "$paths = @()"
    yield f"foreach ($object in @({quoted})) {{"
    yield "    $name = $object.Replace('(*)', '')"
    yield "    $shown = $null"
    yield "    if ($numbers.ContainsKey($name)) { $shown = $names[$numbers[$name]] }"
    yield "    if (-not $shown) { $shown = $name }  # newer objects are not in these lists"
    yield "    $paths += '\\' + $object.Replace($name, $shown) + '\\*'"
    yield "}"
    yield f'$log = "{request.folder}\\{host}_pool.blg"'
    yield f"$arguments = @('create', 'counter', '{counters.COLLECTOR}', '-o', $log, {words}, '-c') + $paths"
    yield "& logman.exe $arguments"
    yield "exit $LASTEXITCODE"


def _readme(request: Request, files: tuple[str, ...]) -> Iterator[str]:
    target = "any machine that may manage it" if request.remote is not None else "the machine that is in trouble"
    yield f"Copy this folder to {target}, open a command prompt as administrator, and run {COLLECT}."
    if takes_snapshots(request):
        yield "Put poolmon.exe beside it first."
    yield f"It ends by itself after {span_text(request.duration)}; {STOP} ends it earlier. Leave its window open."
    yield f"Files: {', '.join((*files, README))}"
    yield ""
    yield "The same by hand:"
    yield ""
    yield from plan_lines(make_plan(request))

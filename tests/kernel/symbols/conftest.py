"""Small symbol files of made-up kernels, and a symbol server on this machine."""

import json
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from poolsleuth.windows.kernel_table import PdbId

PAGE = 512

MakeFile = Callable[[PdbId], bytes]


def _msf(streams: list[bytes]) -> bytes:
    """A container with these streams: superblock, free page map, their pages, directory, list of its pages."""
    pages: list[bytes] = [b"", b"\0" * PAGE, b"\0" * PAGE]
    lists: list[list[int]] = []
    for stream in streams:
        first = len(pages)
        cut = [stream[at : at + PAGE].ljust(PAGE, b"\0") for at in range(0, len(stream), PAGE)]
        lists.append(list(range(first, first + len(cut))))
        pages += cut
    words = [len(streams), *(len(stream) for stream in streams), *(page for found in lists for page in found)]
    directory = struct.pack(f"<{len(words)}I", *words)
    assert len(directory) <= PAGE
    pages += [directory.ljust(PAGE, b"\0"), struct.pack("<I", len(pages)).ljust(PAGE, b"\0")]
    head = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"
    head += struct.pack("<6I", PAGE, 1, len(pages), len(directory), 0, len(pages) - 1)
    pages[0] = head.ljust(PAGE, b"\0")
    return b"".join(pages)


def _pdb(pdb: PdbId, symbols: dict[str, int], filling: int) -> bytes:
    raw = bytes.fromhex(pdb.guid)
    guid = struct.pack("<IHH", *struct.unpack(">IHH", raw[:8])) + raw[8:]
    info = struct.pack("<III", 20_000_404, 0, pdb.age) + guid
    types = struct.pack("<5I", 20_040_203, 56, 0x1000, 0x1000, 0).ljust(56, b"\0")
    debug = struct.pack("<6H", *[0xFFFF] * 5, 5)
    modules = bytearray(0x40)
    struct.pack_into("<iII", modules, 0, -1, 19_990_903, pdb.age)
    struct.pack_into("<H", modules, 0x14, 4)
    struct.pack_into("<i", modules, 0x30, len(debug))
    struct.pack_into("<H", modules, 0x3A, 0x8664)
    records = b""
    for name, address in symbols.items():
        text = name.encode() + b"\0"
        body = struct.pack("<HIIH", 0x110E, 0, address - 0x1000, 1) + text + b"\0" * (-len(text) % 4)
        records += struct.pack("<H", len(body)) + body
    section = struct.pack("<8sII24x", b".data", 0x100000, 0x1000)
    return _msf([b"", info, types, bytes(modules) + debug, records, section, bytes(range(256)) * (filling // 256)])


@pytest.fixture
def make_pdb() -> MakeFile:
    """A PDB of some 30 KB with two symbols of a kernel: PsLoadedModuleList at 0x2000, PoolTrackTable at 0x3000."""
    return lambda pdb: _pdb(pdb, {"PsLoadedModuleList": 0x2000, "PoolTrackTable": 0x3000}, 24 << 10)


@pytest.fixture
def make_isf() -> MakeFile:
    """The same as a symbol table in the ISF format, with PsLoadedModuleList alone."""

    def make(pdb: PdbId) -> bytes:
        identity = {"GUID": pdb.guid, "age": pdb.age, "database": pdb.name, "machine_type": 0x8664}
        return json.dumps(
            {"metadata": {"windows": {"pdb": identity}}, "symbols": {"PsLoadedModuleList": {"address": 0x2000}}}
        ).encode()

    return make


@dataclass
class Answer:
    """What the server does with a path. ``cuts``: bytes after which each of the first transfers breaks off."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = '"one"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    length: int | None = None  # a Content-Length that is not true; -1: none at all
    delay: float = 0.0  # seconds before each piece of ``piece`` bytes
    piece: int = 1 << 20
    failures: list[int] = field(default_factory=list)  # statuses of the first answers
    content_range: str | None = None  # in place of the true one
    chunked: bool = False


@dataclass
class SymbolServer:
    """A symbol server in a thread: every request stands in ``asked`` as (path, Range or None)."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def serve(self, path: str, body: bytes = b"", **behaviour: Any) -> None:
        self.answers[path] = Answer(body, **behaviour)


@pytest.fixture
def symbol_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SymbolServer]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    state = SymbolServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, state)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def _answer(handler: BaseHTTPRequestHandler, state: SymbolServer) -> None:
    wanted = handler.headers.get("Range")
    state.asked.append((handler.path, wanted))
    state.headers.append(dict(handler.headers.items()))
    handler.close_connection = True
    answer = state.answers.get(handler.path, Answer(b"not here", status=404))
    status = answer.failures.pop(0) if answer.failures else answer.status
    body, headers = answer.body, dict(answer.headers)
    start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
    if status == 200 and wanted and answer.ranges and handler.headers.get("If-Range") in {answer.etag, None}:
        if start >= len(body):
            status, body = 416, b""
        else:
            status = 206
            headers["Content-Range"] = answer.content_range or f"bytes {start}-{len(body) - 1}/{len(body)}"
            body = body[start:]
    if answer.etag is not None:
        headers["ETag"] = answer.etag
    if answer.chunked:
        headers["Transfer-Encoding"] = "chunked"
    elif answer.length != -1:
        headers["Content-Length"] = str(len(body) if answer.length is None else answer.length)
    cut = answer.cuts.pop(0) if answer.cuts else len(body)
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    wait = threading.Event()
    try:
        for at in range(0, cut, answer.piece):
            if answer.delay:
                wait.wait(answer.delay)
            piece = body[at : min(at + answer.piece, cut)]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if answer.chunked else piece)
            handler.wfile.flush()
        if answer.chunked and cut == len(body):
            handler.wfile.write(b"0\r\n\r\n")
    except OSError:
        pass  # the other side has gone

"""Downloads from a server on this machine that breaks off, lies, dawdles, or has nothing."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from poolsleuth.kernel.symbols.download import download, is_there
from poolsleuth.kernel.symbols.http import DownloadError, Limits, shown_url
from poolsleuth.model.errors import InputError

QUICK = Limits(attempts=3, connect=2, read=1, total=5, pause=0.01)
BODY = bytes(range(256)) * 1024  # 256 KB
PATH = "/file"


class Server(Protocol):
    url: str
    asked: list[tuple[str, str | None]]
    headers: list[dict[str, str]]

    def serve(self, path: str, body: bytes = b"", **behaviour: Any) -> None: ...


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "file"


@pytest.fixture
def fetch(symbol_server: Server, target: Path) -> Callable[..., bool]:
    def run(path: str = PATH, **arguments: Any) -> bool:
        return download(symbol_server.url + path, target, **{"limits": QUICK, **arguments})

    return run


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_whole_file(symbol_server: Server, target: Path, fetch: Callable[..., bool]) -> None:
    symbol_server.serve(PATH, BODY)
    told: list[tuple[int, int | None]] = []

    assert fetch(progress=lambda done, total: told.append((done, total)))

    assert target.read_bytes() == BODY
    assert left(target) == ["file"]
    assert (told[0], told[-1]) == ((0, len(BODY)), (len(BODY), len(BODY)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert symbol_server.headers[0]["User-Agent"] == "poolsleuth"


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_no_error(
    symbol_server: Server, target: Path, fetch: Callable[..., bool], status: int
) -> None:
    symbol_server.serve(PATH, b"sorry", status=status)

    assert fetch() is False
    assert left(target) == []
    assert len(symbol_server.asked) == 1


def test_a_cut_transfer_goes_on_where_it_was(symbol_server: Server, target: Path, fetch: Callable[..., bool]) -> None:
    symbol_server.serve(PATH, BODY, cuts=[100_000, 50_000])

    assert fetch()

    assert target.read_bytes() == BODY
    assert symbol_server.asked == [(PATH, None), (PATH, "bytes=100000-"), (PATH, "bytes=150000-")]
    assert symbol_server.headers[1]["If-Range"] == '"one"'
    assert left(target) == ["file"]


def test_a_later_run_goes_on_where_the_first_was_cut(
    symbol_server: Server, target: Path, fetch: Callable[..., bool]
) -> None:
    symbol_server.serve(PATH, BODY, cuts=[1000, 0, 0, 0])
    with pytest.raises(DownloadError, match="the connection"):
        fetch()
    assert left(target) == ["file.part", "file.part.mark"]
    assert (target.parent / "file.part").read_bytes() == BODY[:1000]

    symbol_server.serve(PATH, BODY)
    assert fetch()

    assert target.read_bytes() == BODY
    assert symbol_server.asked[-1] == (PATH, "bytes=1000-")
    assert left(target) == ["file"]


@pytest.mark.parametrize(
    "changed",
    [
        {"etag": '"two"'},  # the file has changed: If-Range does not hold
        {"ranges": False},  # the server knows no ranges
        {"content_range": "bytes 0-9/10"},  # it sends another part
        {"content_range": "nonsense"},
    ],
)
def test_a_part_of_another_version_is_not_used(
    symbol_server: Server, target: Path, fetch: Callable[..., bool], changed: dict[str, Any]
) -> None:
    symbol_server.serve(PATH, b"old" * 5000, cuts=[1000, 0, 0, 0])
    with pytest.raises(DownloadError):
        fetch()

    symbol_server.serve(PATH, BODY, **changed)
    assert fetch()

    assert target.read_bytes() == BODY


def test_a_file_that_became_shorter_than_the_part(
    symbol_server: Server, target: Path, fetch: Callable[..., bool]
) -> None:
    symbol_server.serve(PATH, BODY, cuts=[1000, 0, 0, 0])
    with pytest.raises(DownloadError):
        fetch()

    symbol_server.serve(PATH, BODY[:500])
    assert fetch()
    assert target.read_bytes() == BODY[:500]


@pytest.mark.parametrize("behaviour", [{"etag": None}, {"etag": 'W/"weak"'}])
def test_without_a_mark_of_the_version_it_begins_anew(
    symbol_server: Server, target: Path, fetch: Callable[..., bool], behaviour: dict[str, Any]
) -> None:
    symbol_server.serve(PATH, BODY, cuts=[1000, 0, 0, 0], **behaviour)
    with pytest.raises(DownloadError):
        fetch()
    assert left(target) == []


def test_a_date_is_a_mark_too(symbol_server: Server, target: Path, fetch: Callable[..., bool]) -> None:
    date = "Sun, 21 Feb 2021 01:38:22 GMT"
    symbol_server.serve(PATH, BODY, cuts=[1000], etag=None, headers={"Last-Modified": date})

    assert fetch()
    assert symbol_server.headers[1]["If-Range"] == date


def test_a_length_that_is_too_long_is_not_believed(
    symbol_server: Server, target: Path, fetch: Callable[..., bool]
) -> None:
    symbol_server.serve(PATH, b"short", length=1000, ranges=False)

    with pytest.raises(DownloadError, match="could not be fetched: the connection"):
        fetch()
    assert not target.exists()


def test_a_file_without_a_length(symbol_server: Server, target: Path, fetch: Callable[..., bool]) -> None:
    symbol_server.serve(PATH, BODY, length=-1)
    told: list[int | None] = []

    assert fetch(progress=lambda _, total: told.append(total))
    assert target.read_bytes() == BODY
    assert set(told) == {None}


def test_a_file_in_chunks_that_is_cut(symbol_server: Server, target: Path, fetch: Callable[..., bool]) -> None:
    symbol_server.serve(PATH, BODY, chunked=True, piece=10_000, cuts=[100_000])

    assert fetch()
    assert target.read_bytes() == BODY
    assert symbol_server.asked == [(PATH, None), (PATH, "bytes=100000-")]


@pytest.mark.parametrize("length", [None, -1])
def test_the_size_is_bounded(
    symbol_server: Server, target: Path, fetch: Callable[..., bool], length: int | None
) -> None:
    symbol_server.serve(PATH, BODY, length=length)

    with pytest.raises(DownloadError, match="larger than 1,000 bytes"):
        fetch(limits=Limits(max_bytes=1000))
    assert left(target) == []
    assert len(symbol_server.asked) == 1


def test_a_slow_server_is_left_at_the_deadline(symbol_server: Server, target: Path, fetch: Callable[..., bool]) -> None:
    symbol_server.serve(PATH, BODY, piece=10, delay=0.05)
    start = time.monotonic()

    with pytest.raises(DownloadError, match="longer than"):
        fetch(limits=Limits(total=0.3, read=1))
    assert time.monotonic() - start < 2
    assert left(target) == ["file.part", "file.part.mark"]


def test_a_server_that_says_nothing(symbol_server: Server, fetch: Callable[..., bool]) -> None:
    symbol_server.serve(PATH, BODY, delay=1)

    with pytest.raises(DownloadError, match="did not answer in time"):
        fetch(limits=Limits(attempts=2, read=0.1, pause=0.01))
    assert len(symbol_server.asked) == 2


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(
    symbol_server: Server, target: Path, fetch: Callable[..., bool], status: int
) -> None:
    symbol_server.serve(PATH, BODY, failures=[status, status])
    assert fetch()
    assert target.read_bytes() == BODY

    symbol_server.serve(PATH, BODY, status=status)
    with pytest.raises(DownloadError, match=f"status {status}"):
        fetch()
    assert len(symbol_server.asked) == 3 + QUICK.attempts


@pytest.mark.parametrize(("status", "says"), [(401, "login"), (403, "let us in"), (400, "status 400"), (204, "204")])
def test_a_refusal_is_final(symbol_server: Server, fetch: Callable[..., bool], status: int, says: str) -> None:
    symbol_server.serve(PATH, b"", status=status)

    with pytest.raises(DownloadError, match=says):
        fetch()
    assert len(symbol_server.asked) == 1


def test_redirects_are_followed(symbol_server: Server, target: Path, fetch: Callable[..., bool]) -> None:
    symbol_server.serve(PATH, status=302, headers={"Location": "/there"})
    symbol_server.serve("/there", status=307, headers={"Location": symbol_server.url + "/really"})
    symbol_server.serve("/really", BODY)

    assert fetch()
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (PATH, "redirects more than 5 times"),
        ("file:///etc/passwd", "no address"),
        ("ftp://example.org/x", "redirects away"),
        ("http://[broken", "no address"),
    ],
)
def test_redirects_are_bounded(
    symbol_server: Server, target: Path, fetch: Callable[..., bool], place: str, says: str
) -> None:
    symbol_server.serve(PATH, status=301, headers={"Location": place})

    with pytest.raises(DownloadError, match=says):
        fetch()
    assert left(target) == []


def test_an_unasked_packing_is_refused(symbol_server: Server, fetch: Callable[..., bool]) -> None:
    symbol_server.serve(PATH, BODY, headers={"Content-Encoding": "gzip"})

    with pytest.raises(DownloadError, match="compressed"):
        fetch()


def test_what_the_check_refuses_is_not_kept(symbol_server: Server, target: Path, fetch: Callable[..., bool]) -> None:
    symbol_server.serve(PATH, BODY)

    def refuse(path: Path) -> None:
        assert path.read_bytes() == BODY
        raise InputError("none of ours")

    with pytest.raises(InputError, match="none of ours"):
        fetch(check=refuse)
    assert left(target) == []


def test_an_interruption_keeps_what_came(symbol_server: Server, target: Path, fetch: Callable[..., bool]) -> None:
    symbol_server.serve(PATH, BODY)

    def interrupt(done: int, _: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(progress=interrupt)
    assert left(target) == ["file.part", "file.part.mark"]
    assert fetch()
    assert target.read_bytes() == BODY


def test_two_at_once_do_not_write_into_one_file(
    symbol_server: Server, target: Path, fetch: Callable[..., bool]
) -> None:
    symbol_server.serve(PATH, BODY)
    inner: list[bool] = []

    def fetch_too(_: int, __: int | None) -> None:
        if not inner:
            inner.append(True)
            fetch()

    assert fetch(progress=fetch_too)
    assert target.read_bytes() == BODY
    assert left(target) == ["file"]


def test_a_folder_that_cannot_be_made(symbol_server: Server, tmp_path: Path) -> None:
    symbol_server.serve(PATH, BODY)
    (tmp_path / "cache").write_text("a file is in the way", encoding="utf-8")

    with pytest.raises(DownloadError, match="could not be written"):
        download(symbol_server.url + PATH, tmp_path / "cache" / "file", limits=QUICK)


def test_nobody_listens(symbol_server: Server, target: Path) -> None:
    with pytest.raises(DownloadError, match="no connection could be made"):
        download("http://127.0.0.1:1/file", target, limits=Limits(attempts=2, pause=0.01))


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/x", "http:///x"])
def test_an_address_that_is_none(symbol_server: Server, target: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="no address"):
        download(url, target, limits=QUICK)


def test_a_login_is_sent_and_never_shown(symbol_server: Server, target: Path) -> None:
    symbol_server.serve(PATH + "?token=secret", status=401)
    url = symbol_server.url.replace("http://", "http://me:s%65cret@") + PATH

    with pytest.raises(DownloadError) as raised:
        download(url + "?token=secret", target, limits=QUICK)
    assert "secret" not in str(raised.value)
    assert symbol_server.headers[0]["authorization"] == "Basic bWU6c2VjcmV0"
    assert shown_url(url) == symbol_server.url + PATH


def test_a_login_does_not_go_to_another_server(symbol_server: Server, target: Path) -> None:
    symbol_server.serve(PATH, status=302, headers={"Location": symbol_server.url + "/there"})
    symbol_server.serve("/there", BODY)

    assert download(symbol_server.url.replace("http://", "http://me:secret@") + PATH, target, limits=QUICK)
    assert "authorization" in symbol_server.headers[0]
    assert "authorization" not in symbol_server.headers[1]


@pytest.mark.parametrize("written", ["http://me:secret@{}", "me:secret@{}"])
def test_a_proxy_is_used(symbol_server: Server, target: Path, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("http_proxy", written.format(symbol_server.url.removeprefix("http://")))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    symbol_server.serve("http://symbols.invalid/file", BODY)

    assert download("http://symbols.invalid/file", target, limits=QUICK)
    assert target.read_bytes() == BODY
    assert symbol_server.headers[0]["proxy-authorization"] == "Basic bWU6c2VjcmV0"


def test_whether_something_is_there(symbol_server: Server) -> None:
    symbol_server.serve(PATH, BODY)

    assert is_there(symbol_server.url + PATH, limits=QUICK)
    assert not is_there(symbol_server.url + "/other", limits=QUICK)
    assert not is_there("http://127.0.0.1:1/file", limits=QUICK)

"""One request to a symbol server: proxies, redirects, and what went wrong in a few words."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import exceptions

from poolsleuth.model.errors import InputError

MAX_DOWNLOAD = 512 << 20  # bytes of one file: the largest PDB of a kernel has some 40 MB
MAX_SECONDS = 3600  # of one download: a large PDB over a slow modem line
MAX_ATTEMPTS = 4  # in a row that bring nothing
MAX_REDIRECTS = 5  # Microsoft's server needs one
_PIECE = 1 << 16  # bytes that are read at once
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one download. Times in seconds."""

    max_bytes: int = MAX_DOWNLOAD
    attempts: int = MAX_ATTEMPTS
    redirects: int = MAX_REDIRECTS
    connect: float = 15.0
    read: float = 30.0  # between two pieces
    total: float = MAX_SECONDS
    pause: float = 0.5  # before the second attempt; doubled for each after it


class DownloadError(InputError):
    """A file that could not be fetched: the sentence names the server, and what it or the network said."""


class TryAgainError(Exception):
    """A request failed in a way that another may not."""


@contextlib.contextmanager
def opened(url: str, headers: Mapping[str, str], limits: Limits) -> Iterator[urllib3.BaseHTTPResponse]:
    """The answer to a GET, redirects followed, its body not read yet. Raises TryAgainError and DownloadError."""
    with contextlib.ExitStack() as stack:
        try:
            for _ in range(limits.redirects + 1):
                response = _request(url, headers, limits, stack)
                place = response.headers.get("Location") if response.status in _REDIRECTS else None
                if place is None:
                    break
                url = _redirected(url, place)
            else:
                raise DownloadError(f"{_failed(url)}: it redirects more than {limits.redirects} times")
            if response.status in _TRY_AGAIN:
                raise TryAgainError(f"the server answered with status {response.status}")
            yield response
        except exceptions.LocationValueError as error:
            raise DownloadError(f"{shown_url(url)} is no address of a symbol server") from error
        except exceptions.HTTPError as error:
            raise TryAgainError(_in_words(error)) from error


def pieces(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The body as it comes in: a slow server must not keep us waiting for a whole piece. Raises TryAgainError."""
    try:
        while piece := response.read1(_PIECE):
            yield piece
    except exceptions.HTTPError as error:
        raise TryAgainError(_in_words(error)) from error


def shown_url(url: str) -> str:
    """A URL for a sentence: without a user's name and password, and without what follows a question mark."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _request(
    url: str, headers: Mapping[str, str], limits: Limits, stack: contextlib.ExitStack
) -> urllib3.BaseHTTPResponse:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    sent = {"User-Agent": "poolsleuth", "Accept-Encoding": "identity", **headers}
    if login:
        sent.update(urllib3.make_headers(basic_auth=unquote(login)))
    manager = _manager(url, limits)
    stack.callback(manager.clear)
    response = manager.request(
        "GET",
        _without_login(url),
        headers=sent,
        preload_content=False,
        redirect=False,
        retries=False,
        decode_content=False,
    )
    stack.callback(response.close)
    return response


def _manager(url: str, limits: Limits) -> urllib3.PoolManager:
    """Connections by way of the proxy that the system or the environment names, if it names one for this host."""
    timeout = urllib3.Timeout(connect=limits.connect, read=limits.read)
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme.lower())
    if not proxy or proxy_bypass(parts.hostname or ""):
        return urllib3.PoolManager(timeout=timeout)
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    login = urllib3.util.parse_url(proxy).auth
    proxy_headers = urllib3.make_headers(proxy_basic_auth=unquote(login)) if login else None
    return urllib3.ProxyManager(proxy, timeout=timeout, proxy_headers=proxy_headers)


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _redirected(url: str, place: str) -> str:
    """Where a redirect leads: never from https to http, and never with the login that was for the first server."""
    try:
        new = urljoin(_without_login(url), place)
        parts = urlsplit(new)
        known = parts.hostname is not None
    except ValueError:
        known = False
    if not known:
        raise DownloadError(f"{_failed(url)}: it redirects to no address")
    allowed = ("https",) if urlsplit(url).scheme == "https" else ("http", "https")
    if parts.scheme not in allowed:
        raise DownloadError(f"{_failed(url)}: it redirects away from {' and '.join(allowed)}")
    return new


def _failed(url: str) -> str:
    return f"{shown_url(url)} could not be fetched"


def _in_words(error: Exception) -> str:
    match error:
        case exceptions.NameResolutionError():
            return "its name is not known to the network"
        case exceptions.SSLError():
            return f"its certificate is not accepted ({str(error)[:200]})"
        case exceptions.ProxyError():
            return "the proxy cannot be reached, or refuses"
        case exceptions.NewConnectionError():  # of the kind of the next one, too
            return "no connection could be made"
        case exceptions.ConnectTimeoutError() | exceptions.ReadTimeoutError():
            return "it did not answer in time"
    return "the connection broke"

"""Who may come in: host, origin, token, rates."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from aiohttp import web
from aiohttp.typedefs import Handler

from stream.errors import UsageError

COOKIE = "stream_session"
_SHORTEST = 16
_SESSIONS = 256
_SESSION_SECONDS = 12 * 3600.0
_TRIES, _TRIES_SECONDS = 10, 60.0
_RATE, _BURST = 50.0, 200.0
_PEERS = 1024

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_own(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def make_token(given: str | None, host: str) -> str | None:
    """The token that visitors need; None where only this machine can come.

    Raises:
        UsageError: the one given is easily guessed.
    """
    if given is not None:
        if len(given) < _SHORTEST or not given.isascii() or not given.isprintable():
            raise UsageError(f"--token needs at least {_SHORTEST} letters and digits")
        return given
    return None if is_own(host) else secrets.token_urlsafe(24)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def proxies_of(given: Iterable[str]) -> tuple[Network, ...]:
    """The networks of proxies that are trusted.

    Raises:
        UsageError: one is neither an address nor a network.
    """
    found: list[Network] = []
    for one in given:
        try:
            found.append(ipaddress.ip_network(one.strip("[]"), strict=False))
        except ValueError:
            raise UsageError(
                f"--trust-proxy: {one!r} is neither an address nor a network, such as 127.0.0.1 "
                "or 10.0.0.0/8"
            ) from None
    return tuple(found)


class Bucket:
    """Lets so much through in a second, and for a moment more.

    Args:
        rate: per second.
        burst: at once.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self, rate: float, burst: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._now = rate, burst, now
        self._left, self._at = burst, now()

    def would(self) -> bool:
        """Whether one more would be let through."""
        now = self._now()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left >= 1

    def take(self) -> bool:
        """Whether one more is let through."""
        if not self.would():
            return False
        self._left -= 1
        return True


class _Buckets:
    """A bucket for each peer; of very many the oldest are forgotten."""

    def __init__(self, rate: float, burst: float, now: Callable[[], float]) -> None:
        self._make: Callable[[], Bucket] = lambda: Bucket(rate, burst, now)
        self._peers: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, peer: str) -> bool:
        bucket = self._peers.pop(peer, None) or self._make()
        self._peers[peer] = bucket
        if len(self._peers) > _PEERS:
            self._peers.popitem(last=False)
        return bucket.take()

    def would(self, peer: str) -> bool:
        """Whether one more of a peer would be let through."""
        bucket = self._peers.get(peer)
        return bucket is None or bucket.would()


class Guard:
    """Looks at every request before anything else does.

    Args:
        host: the address that the server is bound to.
        token: what visitors need; None for nothing.
        tls: whether the page is served by https.
        names: further host names that the page is reached by.
        proxies: who is believed whose the requests are that come by them.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        host: str,
        token: str | None,
        *,
        tls: bool,
        names: tuple[str, ...] = (),
        proxies: tuple[Network, ...] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = is_own(host)
        self._token = token
        self._tls = tls
        self._now = now
        self._proxies = proxies
        self._given = {name.lower() for name in names}
        self._names = {"localhost", *self._given}
        if not self._own:
            machine = socket.gethostname().lower()
            self._names |= {machine, f"{machine.partition('.')[0]}.local"}
        self._sessions: OrderedDict[str, float] = OrderedDict()
        self._requests = _Buckets(_RATE, _BURST, now)
        self._tries = _Buckets(_TRIES / _TRIES_SECONDS, _TRIES, now)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses what may not come in."""
        self.check(request)
        return await handler(request)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """What browsers are to hold every page to."""
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Server"] = "stream"

    def check(self, request: web.Request) -> None:
        """Refuses foreign hosts and origins, and who asks too often.

        Raises:
            web.HTTPException: what is wrong, without saying what would be right.
        """
        if not self._requests.take(self.peer_of(request)):
            raise web.HTTPTooManyRequests(headers={"Retry-After": "5"})
        host = request.headers.get("Host", "")
        if len(request.headers.getall("Host", [])) != 1 or not self.knows(host):
            # A name that somebody else's DNS gives for this address: rebinding.
            raise web.HTTPMisdirectedRequest(text="this is not the host you asked for\n")
        origin = request.headers.get("Origin")
        own = f"{'https' if self._by_https(request) else 'http'}://{host}".lower()
        # A proxy may do https where we do not, and browsers know of that alone.
        proxied = _split_host(host.lower())[0] in self._given and f"https://{host}".lower()
        if origin is not None and origin.lower() not in (own, proxied):
            raise web.HTTPForbidden(text="not from another page\n")
        site = request.headers.get("Sec-Fetch-Site", "none")
        navigates = request.headers.get("Sec-Fetch-Mode") == "navigate"
        link = navigates and request.path == "/" and request.method == "GET"
        if site not in ("none", "same-origin") and not link:
            raise web.HTTPForbidden(text="not from another page\n")

    def peer_of(self, request: web.Request) -> str:
        """The address that a request is from; each proxy that is trusted says who came to it.

        What stands further left in X-Forwarded-For than the first who is no such proxy was written
        by whoever that is, and anybody can write it.
        """
        return self._way_of(request)[0]

    def _way_of(self, request: web.Request) -> tuple[str, int]:
        """The address that a request is from, and by how many trusted proxies it came."""
        peer, proxies = request.remote or "", 0
        address, hops = _address(peer), _listed(request, "X-Forwarded-For")
        while address is not None and any(address in one for one in self._proxies):
            proxies += 1
            before = _address(hops[-proxies]) if proxies <= len(hops) else None
            if before is None:
                break
            address, peer = before, str(before)
        return peer, proxies

    def _by_https(self, request: web.Request) -> bool:
        """Whether the visitor's browser came by https, to us or to a proxy that is trusted.

        Each proxy adds how who came to it did, or one says it for all. What stands further left
        than the trusted ones reach was written by the visitor.
        """
        _, proxies = self._way_of(request)
        if self._tls or not proxies:
            return self._tls
        said = _listed(request, "X-Forwarded-Proto")
        return said[-min(proxies, len(said))].lower() == "https"

    def knows(self, host: str) -> bool:
        """Whether a Host header is one that the page is reached by."""
        name, port = _split_host(host.lower())
        if name is None or (port and not (port.isascii() and port.isdecimal() and len(port) < 6)):
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # An address that was written out cannot have been rebound.
        return address.is_loopback if self._own else True

    def sign_in(self, request: web.Request, token: object) -> web.Response:
        """Gives a session to who has the token, as a cookie that scripts cannot read.

        Raises:
            web.HTTPException: it is wrong, or was tried too often.
        """
        key = request.cookies.get(COOKIE, "")
        if self._token is None:
            return web.json_response({"ok": True})
        if self._has_session(key):
            return self._with_session(request, key)
        if token == "":
            # A page asks so whether it needs one.
            raise web.HTTPUnauthorized(text="this needs the token\n")
        if not self._tries.take(self.peer_of(request)):
            raise web.HTTPTooManyRequests(headers={"Retry-After": "60"})
        if not isinstance(token, str) or not self._is_token(token):
            raise web.HTTPUnauthorized(text="this is not the token\n")
        key = secrets.token_urlsafe(32)
        self._sessions[key] = self._now()
        if len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return self._with_session(request, key)

    def _with_session(self, request: web.Request, key: str) -> web.Response:
        """The cookie, from now on good for as long as a new one."""
        response = web.json_response({"ok": True})
        response.set_cookie(
            COOKIE, key, httponly=True, samesite="Strict", secure=self._by_https(request), path="/",
            max_age=int(_SESSION_SECONDS),
        )  # fmt: skip
        return response

    def admit(self, request: web.Request) -> None:
        """Lets through who has signed in, or brings the token as `Authorization: Bearer`.

        Raises:
            web.HTTPException: neither, or wrong ones were brought too often; then the right one is
                not told from them.
        """
        if self._token is None or self._has_session(request.cookies.get(COOKIE, "")):
            return
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer":
            peer = self.peer_of(request)
            if not self._tries.would(peer):
                raise web.HTTPTooManyRequests(headers={"Retry-After": "60"})
            if self._is_token(token):
                return
            self._tries.take(peer)
        raise web.HTTPUnauthorized(text="this needs the token\n")

    def _is_token(self, token: str) -> bool:
        wanted = self._token or ""
        return secrets.compare_digest(token.encode("utf-8", "replace"), wanted.encode())

    def _has_session(self, key: str) -> bool:
        used = self._sessions.get(key)
        if used is None:
            return False
        if self._now() - used > _SESSION_SECONDS:
            del self._sessions[key]
            return False
        self._sessions[key] = self._now()
        self._sessions.move_to_end(key)
        return True


def _listed(request: web.Request, name: str) -> list[str]:
    """What a header lists, over as many lines as it takes."""
    return [one.strip() for one in ",".join(request.headers.getall(name, ())).split(",")]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address as it is compared, one of IPv4 in IPv6's form as itself; None if it is none."""
    try:
        found = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _split_host(host: str) -> tuple[str | None, str]:
    """The name, or the address without brackets, and the port of a Host header."""
    if host.startswith("["):
        inside, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None, ""
        return inside, rest[1:]
    name, _, port = host.partition(":")
    return (name or None), port

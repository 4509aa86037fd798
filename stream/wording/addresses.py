"""Addresses of network sources, without the secrets that they may carry."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable
from urllib.parse import quote, unquote

HIDDEN = "***"

_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#'\"]*@")
_HOST = re.compile(r"([^:@]+|\[[0-9A-Fa-f:.%]+\])?(:\d*)?")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_STORAGE = ("s3", "s3a", "gs", "gcs")
"""Where `?` is a letter of names like others, unless something like `versionId=x` follows."""
_NO_QUERY = rf"(?!(?i:{'|'.join(_STORAGE)})://[^\s?'\"]*\?[^\s'\"=]*(?![^\s'\"]))"
_QUERY = re.compile(
    rf"(?<![A-Za-z0-9+.-]){_NO_QUERY}(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://[^\s?'\"]*)\?[^\s'\"]+"
)

_KEY = re.compile(r"(?i)(?P<place>\brtmp\w*://[^\s/'\"]*/[^\s/'\"]+/)[^\s'\"?]*[^\s'\"?:;,.]")
_BEHIND_APP = re.compile(r"(?P<place>[^/]*/[^/]+/)(?P<key>.+)")
_LONG = 16
"""Characters of a part of a WHIP address's path from which on it is a key rather than a name."""
_WORD = 8
"""Characters of a secret from which on it is no ordinary word, which texts may hold by chance."""

_AWAITS = re.compile(r"[?&](listen=1|mode=listener)(?=&|$)")


def split(address: str) -> tuple[str, str, str]:
    """An address's scheme, user information and the rest.

    People paste passwords as they are, with `/`, `?`, `#` and `@` in them, which an address should
    carry as `%2F` and so on. Where only that gives the address a meaning it is understood so.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return "", "", address
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    authority, behind = rest[:end], rest[end:]
    user, _, host = authority.rpartition("@")
    if "@" in behind:
        before, _, after = rest.rpartition("@")
        late = _HOST.fullmatch(host) is None or (bool(user) and _is_no_host(user, host, after))
        if late or (not user and _is_password(scheme.lower(), authority, behind, after)):
            return scheme, before, after
    if user:
        return scheme, user, host + behind
    return scheme, "", rest.removeprefix("@")


def _is_no_host(user: str, host: str, after: str) -> bool:
    """Whether what looks like a host is more of a password that holds `@` and then `/`, `?` or `#`.

    Args:
        user: user and password, or the beginning of that.
        host: a word, perhaps with a port.
        after: what stands behind the last `@`, where a host of an unmistakable kind is.
    """
    word = ":" in user and host != "localhost" and not re.search(r"[.:\[]", host)
    return word and _is_plain_host(after)


def _is_plain_host(after: str) -> bool:
    """Whether what stands behind an `@` begins with a host that can be nothing else."""
    host = re.split(r"[/?#]", after, maxsplit=1)[0]
    return _HOST.fullmatch(host) is not None and bool(re.search(r"[.:\[]|^localhost$", host))


def _is_password(scheme: str, authority: str, behind: str, after: str) -> bool:
    """Whether what looks like a host and a number is a user and the beginning of a password.

    Args:
        scheme: in small letters.
        authority: what stands before the first `/`, `?` or `#`.
        behind: that mark and what follows it.
        after: what stands behind the last `@`.
    """
    name, colon, _ = authority.partition(":")
    host = re.split(r"[/?#]", after, maxsplit=1)[0]
    if not colon or "." in name or name.startswith("[") or name == "localhost":
        return False
    if not host or _HOST.fullmatch(host) is None:
        return False
    if behind[0] == "?":
        return "=" not in behind.partition("@")[0]  # else it is a query
    if behind[0] == "/":
        # A path may hold an @ too; on the web it is usual.
        return not scheme.startswith("http") and _is_plain_host(after)
    return True


def host_of(address: str) -> str:
    """The host of an address, without its port and brackets."""
    place = re.split(r"[/?#]", split(address)[2], maxsplit=1)[0]
    bracketed = re.match(r"\[([^\]]*)\]", place)
    return bracketed[1] if bracketed else place.partition(":")[0]


def dialled(address: str) -> str:
    """An address as FFmpeg understands it: the scheme in small letters, the password escaped."""
    scheme, user, rest = split(address)
    if not scheme:
        return address
    if not user:
        return f"{scheme.lower()}{address[len(scheme) :]}"
    # What is escaped already stays so; FFmpeg takes the escapes back.
    escaped = quote(_LONE_PERCENT.sub("%25", user), safe=":%!$&'()*+,;=-._~")
    return f"{scheme.lower()}://{escaped}@{rest}"


def awaits_call(address: str) -> bool:
    """Whether an address asks us to wait until the other side calls: listen=1, or SRT's mode."""
    return _AWAITS.search(address) is not None


def _without_keys(scheme: str, place: str) -> tuple[str, set[str]]:
    """Host and path without what lets anybody send in a user's name, and that.

    RTMP's stream key is all that stands behind the name of the application. WHIP's is a token, but
    some services have a key in the path.
    """
    if scheme.lower().startswith("rtmp"):
        found = _BEHIND_APP.fullmatch(place)
        return (place, set()) if found is None else (f"{found['place']}{HIDDEN}", {found["key"]})
    if scheme.lower() in ("whip", "whips"):
        host, *parts = place.split("/")
        keys = {one for one in parts if len(one) >= _LONG}
        return "/".join([host, *(HIDDEN if one in keys else one for one in parts)]), keys
    return place, set()


def redact(address: str) -> str:
    """An address as it may be shown: without user, password, keys and the values of its query.

    What has no scheme is a name of this machine's, in which a `?` begins no query.
    """
    scheme, _, rest = split(address)
    if not scheme:
        return address
    place, question, query = rest.partition("?")
    if scheme.lower() in _STORAGE and "=" not in query:
        place, question = rest, ""
    place, _ = _without_keys(scheme, place)
    shown = f"{place}?{HIDDEN}" if question else place
    return f"{scheme}://{shown}"


def secrets_of(address: str, *, words: bool = False) -> set[str]:
    """What of an address must not be shown, as written and as meant: user, password, key, values.

    Args:
        address: with its secrets.
        words: also keys that might be ordinary words, which in texts are left to what `clean` knows
            of whole addresses.
    """
    scheme, user, rest = split(address)
    found = {user, *user.split(":", 1)} if user else set()
    place, _, query = rest.partition("?")
    found |= {key for key in _without_keys(scheme, place)[1] if words or len(key) >= _WORD}
    if query:
        found.add(query)
        found |= {part.partition("=")[2] for part in re.split(r"[&;]", query)}
    found |= {unquote(secret) for secret in found}
    return {secret for secret in found if secret}


def pattern_of(secret: str) -> str:
    """What finds a secret in a text: a short one as a word of its own, as it may be part of others.

    So may a user's name be of ordinary words, and a latency of 50 of a port.
    """
    found = re.escape(secret)
    return found if len(secret) >= _WORD else rf"(?<![\w.-]){found}(?![\w.-])"


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """A text of someone else's (FFmpeg's, a server's) without user information and secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub(pattern_of(secret), HIDDEN, text)
    text = _USERINFO.sub(rf"\g<scheme>{HIDDEN}@", text)
    text = _QUERY.sub(rf"\g<scheme>?{HIDDEN}", text)
    return _KEY.sub(rf"\g<place>{HIDDEN}", text)


class _CleanRecords:
    """Makes log records as before, then takes the secrets out of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: frozenset[str] = frozenset()
        self._make: Callable[..., logging.LogRecord] | None = None

    def add(self, secrets: set[str]) -> None:
        with self._lock:
            self._secrets |= secrets
            if self._make is None:
                self._make = logging.getLogRecordFactory()
                logging.setLogRecordFactory(self)

    def __call__(self, *args: object, **kwargs: object) -> logging.LogRecord:
        make: Callable[..., logging.LogRecord] = self._make or logging.LogRecord
        record = make(*args, **kwargs)
        message = record.getMessage()
        cleaned = clean(message, self._secrets)
        if cleaned != message:
            record.msg, record.args = cleaned, ()
        return record


_records = _CleanRecords()


def keep_out_of_logs(address: str) -> None:
    """From now on no log record of this process carries the address's secrets.

    FFmpeg logs whole addresses on its own, in threads of its own, so a filter on one logger or
    handler would not do: the records are cleaned where they are made.
    """
    found = secrets_of(address)
    if found or redact(address) != address:
        _records.add(found)

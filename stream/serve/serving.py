"""Serves runs as a page, from the first word in the terminal to the last."""

from __future__ import annotations

import asyncio
import io
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import psutil

from stream import sources
from stream.errors import SinkError, StreamError, UsageError
from stream.run.aside import end_all
from stream.run.interrupt import on_interrupt
from stream.run.plan import OutputPlan, RunPlan
from stream.run.setup import check, has_pictures, is_live
from stream.run.switching import quick_switching
from stream.run.turns import Turns
from stream.serve.memory import share_arenas
from stream.serve.notify import notify, watchdog_seconds
from stream.settings.serve_options import ServeOptions
from stream.system.extras import need_extra
from stream.wording.names import distinct, name_of

if TYPE_CHECKING:
    from rich.console import Console

    from stream.inference.segmenter import Segmenter
    from stream.run.report import RunReport
    from stream.serve.certificate import Renewal
    from stream.serve.room import Room
    from stream.serve.server import Server

BROWSER = "browser"
LOOP = "loop:"
_ALL = ("0.0.0.0", "::", "")
_ELSEWHERE = "192.0.2.1"
"""An address that stands for any other (RFC 5737)."""

_RENEWS = 60.0
"""Seconds between two looks whether the page's certificate is still the right one."""

Say = Callable[[str], None]


def serve(
    plans: Sequence[RunPlan],
    *,
    console: Console | None,
    say: Say,
    segmenter: Segmenter | None = None,
    on_ready: Callable[[Server], None] = lambda server: None,
    on_away: Callable[[int, RunReport], None] = lambda place, report: None,
) -> list[Room]:
    """Runs sources and serves the page, until Ctrl-C or until all sources have ended.

    Args:
        plans: one for each source, with one model; the first one's `serve` says how.
        console: where status lines go.
        say: tells people where the page is.
        segmenter: loaded already; None loads the plans'.
        on_ready: called in the server's loop once it listens.
        on_away: takes a source's place and what it has done, where it has gone and is to be opened
            again; called in its thread.

    Returns:
        The rooms, ended; what they have done since they were opened last.

    Raises:
        StreamError: a source, the model or the address cannot be used, the only source failed, or
            what was still to be written at the end could not be.
    """
    need_extra("serve", "aiohttp", "aiortc", "prometheus_client", "qrcode", what="the page")
    from stream.serve.guard import Guard, make_token, proxies_of
    from stream.serve.house import House
    from stream.serve.models import Models
    from stream.serve.room import Room
    from stream.serve.server import Server

    share_arenas()
    plans = [_on_page(plan) for plan in plans]
    options = plans[0].serve
    token = make_token(options.token, options.host)
    tls, renewal = _tls(options)
    fingerprint = None if renewal is None else renewal.fingerprint
    guard = Guard(
        options.host,
        token,
        tls=tls is not None,
        names=options.allow_host or (),
        proxies=proxies_of(options.trust_proxy or ()),
    )
    asked = plans[0].model
    models = Models(asked, options.more_models or (), segmenter, yields=len(plans) > 1)
    turns = Turns(max(1, models.get(asked.model).workers), coming=len(plans))
    names = distinct([plan.source.name or name_of(_plain(plan)) for plan in plans])
    rooms = [
        Room(str(place), name, plan, models, turns, console=console)
        for place, (name, plan) in enumerate(zip(names, plans, strict=True))
    ]

    async def main(stop: asyncio.Event) -> None:
        server = Server(
            House(rooms, models, turns, options), guard, options.host, options.port, tls
        )
        renewing: asyncio.Task[None] | None = None
        await server.start()
        try:
            for room in rooms:
                room.on_end = _when_all(rooms, stop, asyncio.get_running_loop())
                room.on_away = partial(on_away, int(room.key))
                await asyncio.to_thread(room.start)
            _announce(say, options, server.port, token, fingerprint)
            on_ready(server)
            if renewal is not None:
                renewing = asyncio.create_task(_renew(renewal, say))
            await _watch(rooms, stop)
        finally:
            notify("STOPPING=1")
            if renewing is not None:
                renewing.cancel()
            for room in rooms:
                room.stop()
            await server.stop()

    with quick_switching(len(plans)):
        _run(main, rooms)
    failed = rooms[0].outcome.error if len(rooms) == 1 and rooms[0].outcome else None
    if failed is not None:
        raise failed
    if len(rooms) == 1 and rooms[0].once and rooms[0].outcome is None and rooms[0].problem:
        raise StreamError(rooms[0].problem)
    unsaid = [f"{room.name}: {room.unsaid}" for room in rooms if room.unsaid is not None]
    if unsaid:
        raise SinkError("; ".join(unsaid))
    return rooms


def _run(
    main: Callable[[asyncio.Event], Coroutine[None, None, None]], rooms: Sequence[Room]
) -> None:
    """The server's loop in this thread, with Ctrl-C as everywhere."""

    async def wrapped() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()

        def end() -> None:
            loop.call_soon_threadsafe(stop.set)

        def abort() -> None:
            for room in rooms:
                room.abort()

        with on_interrupt(end, abort):
            await main(stop)

    try:
        with asyncio.Runner() as runner:
            runner.run(wrapped())
    finally:
        end_all(rooms)


async def _watch(rooms: Sequence[Room], stop: asyncio.Event) -> None:
    """Waits for the end; systemd hears that all is well as often as it wants to."""
    notify("READY=1")
    seconds = watchdog_seconds()
    while not stop.is_set():
        if all(room.alive for room in rooms):
            notify("WATCHDOG=1")
        try:
            async with asyncio.timeout(None if seconds is None else seconds / 3):
                await stop.wait()
        except TimeoutError:
            continue


def _when_all(
    rooms: Sequence[Room], stop: asyncio.Event, loop: asyncio.AbstractEventLoop
) -> Callable[[], None]:
    """Ends the server with its last room; called in the room's thread, as its last act."""

    def ended() -> None:
        if sum(room.alive for room in rooms) <= 1 and not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    return ended


def _on_page(plan: RunPlan) -> RunPlan:
    """A plan whose pictures come at their own pace, with the page among its outputs.

    Raises:
        StreamError: the source is no moving picture, or a file that cannot be opened.
    """
    if not any(one.target == BROWSER for one in plan.outputs):
        plan = replace(plan, outputs=(OutputPlan(BROWSER), *plan.outputs))
    source = plan.source
    if not is_live(source):
        if has_pictures(source) or not isinstance(source.target, str):
            named = f", not {source.target!r}" if isinstance(source.target, str) else ""
            raise UsageError(
                f"the page shows moving pictures{named}: name cameras, addresses or video files, "
                "each for itself"
            )
        source = replace(source, target=f"{LOOP}{source.target}")
        sources.open(source.target, source.options).close()
    plan = replace(plan, source=source)
    check(plan)
    return plan


def _plain(plan: RunPlan) -> str:
    return str(plan.source.target).removeprefix(LOOP)


def _tls(options: ServeOptions) -> tuple[ssl.SSLContext | None, Renewal | None]:
    from stream.serve.certificate import Renewal, given_context, kept_context, read_kept
    from stream.serve.guard import is_own

    if options.certificate is not None:
        read = partial(given_context, options.certificate, options.key)
        context, fingerprint = read()
        return context, Renewal(context, fingerprint, read)
    wanted = not is_own(options.host) if options.tls is None else options.tls
    if not wanted:
        return None, None
    names = ["localhost", "127.0.0.1", *addresses(), socket.gethostname()]
    names = list(dict.fromkeys([*names, *(options.allow_host or ())]))
    context, fingerprint = kept_context(names)
    return context, Renewal(context, fingerprint, partial(read_kept, names))


async def _renew(renewal: Renewal, say: Say) -> None:
    """Keeps the page's certificate up to date, until it is cancelled."""
    while True:
        await asyncio.sleep(_RENEWS)
        if await asyncio.to_thread(renewal.renew):
            say(f"the page's certificate is a new one, with the fingerprint {renewal.fingerprint}")


def addresses() -> list[str]:
    """The machine's own addresses in its networks, those first by which others reach it.

    The first is that by which the machine itself goes out. Bridges of virtual machines and
    containers, which nobody else reaches, come behind real networks, and IPv6 behind IPv4.
    """
    outward = _outward()
    up = psutil.net_if_stats()
    found = [
        (one.address != outward, one.family != socket.AF_INET, _is_virtual(name), one.address)
        for name, several in psutil.net_if_addrs().items()
        for one in several
        if one.family in (socket.AF_INET, socket.AF_INET6)
        and not one.address.startswith(("127.", "::1", "fe80"))
        and (name not in up or up[name].isup)
    ]
    return [address for *_, address in sorted(found)]


def _outward() -> str | None:
    """The machine's address on its way to everybody else; nothing is sent to find it."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            channel.connect((_ELSEWHERE, 9))
            return str(channel.getsockname()[0])
    except OSError:
        return None  # it is in no network that leads elsewhere


def _is_virtual(name: str) -> bool:
    return name.startswith(("docker", "br-", "veth", "virbr", "vboxnet", "vmnet", "lxc", "lxd"))


def _announce(
    say: Say, options: ServeOptions, port: int, token: str | None, fingerprint: str | None
) -> None:
    """Says where the page is; the token once, as a link and as a code for a phone's camera."""
    from stream.serve.guard import is_own

    host = options.host
    others: list[str] = []
    if host in _ALL:
        # All of IPv6 are all of IPv4 too, where the system has sockets for both.
        both = host == "" or (host == "::" and socket.has_dualstack_ipv6())
        here = [one for one in addresses() if both or (":" in one) == (":" in host)]
        host, *others = [*here, "::1" if host == "::" and not both else "127.0.0.1"]
    host = f"[{host}]" if ":" in host else host
    page = f"{'http' if fingerprint is None else 'https'}://{host}:{port}/"
    seen = sys.stderr.isatty()
    # A token of the operator's own is known already; a journal must not hold it.
    link = page if token is None or (options.token and not seen) else f"{page}#token={token}"
    say(f"the page is at {link} (Ctrl-C ends it)")
    also = [one for one in others if ":" not in one and not is_own(one)]
    if also:
        say(f"this machine's other addresses lead there too: {', '.join(also)}")
    if fingerprint is not None:
        say(f"its certificate has the SHA-256 fingerprint {fingerprint}")
    if token is not None and seen:
        import qrcode

        code = qrcode.QRCode(border=2)
        code.add_data(link)
        text = io.StringIO()
        code.print_ascii(out=text, invert=True)
        say(text.getvalue())

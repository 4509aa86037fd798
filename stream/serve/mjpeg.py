"""Pictures as Motion JPEG, where WebRTC does not get through."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from stream.frame import Frame
from stream.serve.pictures import Shared, Viewer
from stream.sinks.browser import Slot

_BOUNDARY = "frame"
_WAITING = 128 * 1024
"""Bytes that wait for a viewer: a picture or a few. The system would take megabytes, seconds."""

_PATIENCE = 10.0
"""Seconds that a viewer may take for one picture before it is taken to be gone."""

_LOOKS = 2.0
"""Seconds after which it is looked whether a viewer is still there, where no picture comes."""


async def _next(viewer: Viewer, request: web.Request) -> Frame | None:
    """The newest frame; None once the viewer has gone, which only who sends to it would notice."""
    while True:
        try:
            async with asyncio.timeout(_LOOKS):
                return await viewer.next()
        except TimeoutError:
            if request.transport is None or request.transport.is_closing():
                return None


async def send(request: web.Request, slot: Slot, jpeg: Shared[bytes]) -> web.StreamResponse:
    """Sends a slot's newest pictures until the viewer goes."""
    response = web.StreamResponse(
        headers={
            "Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # a proxy would keep what a slow viewer has not had yet
        }
    )
    await response.prepare(request)
    # Little waits in the socket, so that who is slow sees what is new.
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=1)
        channel = request.transport.get_extra_info("socket")
        if channel is not None:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _WAITING)
    viewer = Viewer(slot)
    try:
        await response.write(f"--{_BOUNDARY}\r\n".encode())
        while (frame := await _next(viewer, request)) is not None:
            picture = await jpeg.of(frame)
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            # The boundary behind it at once: browsers show a picture when they see where it ends.
            async with asyncio.timeout(_PATIENCE):
                await response.write(head.encode() + picture + f"\r\n--{_BOUNDARY}\r\n".encode())
    except (TimeoutError, ConnectionError):
        response.force_close()
        if request.transport is not None:
            request.transport.abort()
    finally:
        viewer.close()
    return response

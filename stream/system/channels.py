"""The order of a sound's channels, of which PyAV gives lists away that FFmpeg still holds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream

_LISTED = " channels ("
"""What FFmpeg calls an order that it has no name for, before the channels."""
_ALL = "22.2"
"""A layout of nearly all channels that have a place, in their order."""


def let_be(context: AudioCodecContext) -> None:
    """Has the channels of a decoder that is not open yet be read without harm.

    An order that is not FFmpeg's own, as of eight channels in MOV, lies in memory of its own. PyAV
    frees that with whatever was told of it, and the decoder frees it once more, which ends the
    process. Here it is taken away from the decoder, which has so many channels in no order then;
    what is copied from its stream has the order still.

    Args:
        context: a decoder, or what a stream says of one.
    """
    told = context.layout
    name = f"{told.nb_channels}C" if _LISTED in told.name else told.name
    # Of a damaged head there may be no channels, which have no name.
    with contextlib.suppress(ValueError):
        context.layout = AudioLayout(name)


def order_of(stream: AudioStream) -> tuple[str, ...]:
    """The channels of an input's stream as they come, if they have an order without a name.

    Returns:
        FFmpeg's names of them; none where the order is one that has a name, or unknown.
    """
    with av.open(os.devnull, "w", format="null") as nowhere:
        context = nowhere.add_stream_from_template(stream, opaque=True).codec_context
        told = context.layout
        names = tuple(one.name for one in told.channels) if _LISTED in told.name else ()
        context.layout = AudioLayout("mono")  # so that it is freed once
    return names


def ordered(names: Sequence[str]) -> tuple[str, tuple[int, ...]] | None:
    """The usual order of channels that come in another one.

    Args:
        names: of the channels as they come, of `order_of`.

    Returns:
        The name of a layout, and of each of its channels which one it is as they come; None where
        they are no such layout's, as of a channel that comes twice.
    """
    places = {one.name: place for place, one in enumerate(AudioLayout(_ALL).channels)}
    if not names or len(set(names)) < len(names) or not set(names) <= places.keys():
        return None
    usual = sorted(names, key=places.__getitem__)
    layout = AudioLayout("+".join(usual)).name
    if usual == list(names) or _LISTED in layout:
        return None
    return layout, tuple(names.index(one) for one in usual)

"""The process that sends a stream on; run as a script, with nothing of ours loaded.

FFmpeg gives no way to let go of a receiver that neither takes data nor goes away. This process can
be ended. It reads NUT from standard input and sends it on as it comes: what was encoded stays as it
is. It says "connected" on standard output once the receiver has taken the header, and "failed" with
FFmpeg's words where something went wrong.

Environment:
    STREAM_SENDER: JSON with `address`, `format` and the muxer's `options`. An argument would stand
        in the list of processes, with the address's passwords.
"""

from __future__ import annotations

import json
import os
import sys

import av
from av.bitstream import BitStreamFilterContext
from av.stream import Stream

_IN_BAND = {"h264", "hevc"}
"""Codecs whose headers receivers of MPEG-TS, who may join at any time, look for at key frames."""


def main() -> int:
    """Sends until standard input ends; returns the process's exit code."""
    asked = json.loads(os.environ.pop("STREAM_SENDER"))
    try:
        _send(asked["address"], asked["format"], asked["options"])
    except (av.FFmpegError, OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        print("failed", " ".join(words.split()), flush=True)  # noqa: T201
        return 1
    return 0


def _send(address: str, form: str, options: dict[str, str]) -> None:
    # All is said in the header and the first picture: whoever probes for longer only waits.
    read = {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"}
    with (
        open(0, "rb", buffering=0, closefd=False) as pipe,
        av.open(pipe, "r", format="nut", container_options=read, buffer_size=4096) as source,
    ):
        target = av.open(address, "w", format=form, container_options=options)
        # A session's description is lines.
        lines = form != "rtsp"
        target.metadata.update(
            {
                key: said if lines else " ".join(said.split())
                for key, said in source.metadata.items()
            }
        )
        copies: dict[int, Stream] = {}
        filters: dict[int, BitStreamFilterContext] = {}
        for stream in source.streams:
            copy = target.add_stream_from_template(stream, opaque=True)
            copy.metadata.update(stream.metadata)
            copy.disposition = stream.disposition
            copies[stream.index] = copy
            if form == "mpegts" and stream.codec_context.codec.canonical_name in _IN_BAND:
                filters[stream.index] = BitStreamFilterContext("dump_extra", stream, copy)
        target.start_encoding()
        print("connected", flush=True)  # noqa: T201
        for packet in source.demux():
            if not packet.size:
                continue  # the end
            if packet.dts is None:
                packet.dts = packet.pts
            at = packet.stream_index
            for one in filters[at].filter(packet) if at in filters else [packet]:
                one.stream = copies[at]
                target.mux_one(one)
        target.close()


if __name__ == "__main__":
    sys.exit(main())

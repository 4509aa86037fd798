"""What the page makes of a browser's recordings, in Node."""

from __future__ import annotations

import shutil
import subprocess
from importlib import resources

import av
import numpy as np
import pytest

NODE = shutil.which("node")
FINISH = """
import { readFileSync, writeFileSync } from "node:fs";
import { withDuration } from "./webm.mjs";
for (const name of process.argv.slice(2)) {
  const done = await withDuration(new Blob([readFileSync(name)], { type: "video/webm" }), 2.5);
  if (done.type !== "video/webm") throw new Error(done.type);
  writeFileSync(`${name}.done`, Buffer.from(await done.arrayBuffer()));
}
"""


def recorded(path, **options):
    with av.open(str(path), "w", format="webm", options=options) as container:
        stream = container.add_stream("libvpx", rate=10, width=64, height=48, pix_fmt="yuv420p")
        for level in range(25):
            picture = np.full((48, 64, 3), 10 * level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.mark.skipif(NODE is None, reason="there is no Node here")
def test_recordings_of_browsers_say_how_long_they_are(tmp_path):
    page = resources.files("stream.serve") / "page"
    (tmp_path / "webm.mjs").write_bytes((page / "webm.js").read_bytes())
    (tmp_path / "finish.mjs").write_text(FINISH)
    live, whole = tmp_path / "live.webm", tmp_path / "whole.webm"
    recorded(live, live="1")
    recorded(whole)
    data = live.read_bytes()
    # FFmpeg says there how far off everything is; browsers do not know.
    seek_head = slice(data.index(b"\x11\x4d\x9b\x74"), data.index(b"\x15\x49\xa9\x66", 0x80))
    live.write_bytes(data[: seek_head.start] + data[seek_head.stop :])
    odd = {
        "nothing": b"",
        "noise": bytes(range(256)) * 8,
        "cut": live.read_bytes()[:60],
        "pointing": data,
    }
    for name, data in odd.items():
        (tmp_path / name).write_bytes(data)
    names = ["live.webm", "whole.webm", *odd]
    subprocess.run([NODE, "finish.mjs", *names], cwd=tmp_path, check=True, timeout=120)

    with av.open(str(live)) as container:
        assert not container.duration, "else it is none of these"
    with av.open(f"{live}.done") as container:
        assert container.duration == 2_500_000
        assert sum(1 for _ in container.decode(video=0)) == 25
    for name in ("whole.webm", *odd):
        same = (tmp_path / f"{name}.done").read_bytes() == (tmp_path / name).read_bytes()
        assert same, f"{name} is to stay as it was"

"""What the list of processes shows of the program's arguments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stream.system.arguments import hide, without_secrets


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["serve", "--token", "ten and six letters"], ["serve", "--token", "x" * 19]),
        (["--token=a://b\u00e4"], ["--token=xxxxxxx"]),
        (["rtsp://user:pass@door:554/a"], ["rtsp://xxxxxxxxx@door:554/a"]),
        (["--device=rtsp://user:pa/ss@door/a"], ["--device=rtsp://xxxxxxxxxx@door/a"]),
        (["-o", "rtmp://server/app/key"], ["-o", "rtmp://server/app/xxx"]),
        (["srt://server:9?passphrase=secret"], ["srt://server:9?xxxxxxxxxxxxxxxxx"]),
        (["whips://bearer@server/whip/a"], ["whips://xxxxxx@server/whip/a"]),
        (["file", "in.mp4", "-o", "\udcff?.mp4"], ["file", "in.mp4", "-o", "\udcff?.mp4"]),
        (["http://server/a.m3u8", "--look", "blur"], ["http://server/a.m3u8", "--look", "blur"]),
        (
            ["srt://127.0.0.1:50123?latency=50&passphrase=hunter2hunter2"],
            ["srt://127.0.0.1:50123?" + "x" * 36],
        ),
        (["rtsp://10:10@10.0.0.10:554/live"], ["rtsp://xxxxx@10.0.0.10:554/live"]),
    ],
)  # fmt: skip
def test_secrets_are_crossed_out_and_nothing_else(given, shown):
    found = without_secrets(given)
    assert found == shown
    raw = [one.encode("utf-8", "surrogateescape") for one in (*given, *found)]
    assert [len(one) for one in raw[: len(given)]] == [len(one) for one in raw[len(given) :]]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep the arguments elsewhere")
def test_other_users_see_no_password():
    code = (
        "import sys; from pathlib import Path; from stream.system.arguments import hide; hide();"
        "print(Path('/proc/self/cmdline').read_text().split(chr(0))[3:-1], sys.argv[1:])"
    )
    given = ["rtsp://user:secret@door/a", "--token=0123456789abcdef"]
    done = subprocess.run(
        [sys.executable, "-c", code, *given], capture_output=True, text=True, check=True
    )
    shown = ["rtsp://xxxxxxxxxxx@door/a", "--token=" + 16 * "x"]
    assert done.stdout.strip() == f"{shown} {given}", "and the program itself has them still"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep the arguments elsewhere")
def test_other_users_see_no_password_of_a_process_that_was_started():
    code = "import sys; print(flush=True); input(); print(sys.argv[1])"
    with subprocess.Popen(
        [sys.executable, "-c", code, "srt://door:9?passphrase=hunter2hunter2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout.readline() == "\n"
        hide(child.pid)
        shown = Path(f"/proc/{child.pid}/cmdline").read_text().split("\0")
        assert child.communicate("\n", timeout=60)[0] == "srt://door:9?passphrase=hunter2hunter2\n"
    assert shown[3] == f"srt://door:9?{'x' * 25}"
    hide(child.pid)  # nobody any more

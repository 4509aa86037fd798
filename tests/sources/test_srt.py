"""The process that reads SRT for us."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from stream.sources import srt
from tests.run.parts import until


@pytest.mark.skipif(not srt._ending_with_us(), reason="needs Linux and setpriv")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_relay_does_not_outlive_a_process_that_is_killed(number):
    """A source that has room for one would refuse the next run."""
    script = textwrap.dedent(
        """
        import sys, time
        from stream.sources import srt
        srt.tool_command = lambda: [sys.executable, "-c", "import time; time.sleep(600)"]
        srt.hide_passphrase = lambda process: None
        print(srt.Relay("srt://127.0.0.1:9")._process.pid, flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        relay = psutil.Process(int(process.stdout.readline()))
        process.send_signal(number)
    until(lambda: not relay.is_running() or relay.status() == psutil.STATUS_ZOMBIE)


def test_without_the_tool_it_is_started_all_the_same(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert srt._ending_with_us.__wrapped__() == ()

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from stream.run.interrupt import on_interrupt
from tests.run.parts import until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


def test_the_first_signal_stops_and_handlers_are_put_back():
    calls = []
    before = signal.getsignal(signal.SIGINT)
    with on_interrupt(lambda: calls.append("stop"), lambda: calls.append("abort")):
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: calls == ["stop"])
        os.kill(os.getpid(), signal.SIGTERM)
        until(lambda: calls == ["stop", "abort"])
    assert signal.getsignal(signal.SIGINT) is before


def test_the_process_ends_after_the_second_signal_even_when_a_call_hangs():
    script = textwrap.dedent(
        """
        import time
        from stream.run.interrupt import on_interrupt
        with on_interrupt(lambda: print("stop", flush=True), lambda: time.sleep(600)):
            print("ready", flush=True)
            while True:
                time.sleep(1)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"stop\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.stdout.close()
        process.wait()

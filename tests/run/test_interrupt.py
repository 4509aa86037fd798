import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from stream.run.interrupt import on_interrupt

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


def test_the_first_signal_stops_and_handlers_are_put_back():
    calls = []
    before = signal.getsignal(signal.SIGINT)
    with on_interrupt(lambda: calls.append("stop"), lambda: calls.append("abort")):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        assert calls == ["stop"]
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        assert calls == ["stop", "abort"]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_process_ends_after_the_second_signal_even_when_a_call_hangs():
    script = textwrap.dedent(
        """
        import time
        from stream.run.interrupt import on_interrupt
        with on_interrupt(lambda: None, lambda: time.sleep(60)):
            print("ready", flush=True)
            while True:
                time.sleep(1)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130
    finally:
        process.kill()
        process.stdout.close()
        process.wait()

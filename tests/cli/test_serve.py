"""`stream serve` and `--display browser` as users start them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from stream.plans import config, saved_config
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.options import LiveOptions
from stream.settings.serve_options import ServeOptions
from tests.cli.conftest import environment
from tests.sources.serving import free_port


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("serve", "pattern", "--port", "70000"), 2, "--port is 0 to 65535"),
        (("serve", "pattern", "--token", "short"), 2, "16"),
        (("serve", "nowhere.mp4"), 2, "nowhere.mp4"),
        (("serve", "."), 2, "not '.'"),
        (("serve", "--visitors", "-1"), 2, "--visitors is 0 to 64"),
        (("webcam", "pattern", "--display", "wall"), 2, "window, browser, none"),
        (("webcam", "pattern", "--display", "window", "--no-display"), 2, "do not go together"),
    ],
)
def test_what_is_asked_wrongly_is_said(stream, words, code, said):
    result = stream(*words)
    assert result.code == code and said in result.err and "Traceback" not in result.err


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "pattern"),
        ("webcam", "pattern", "--display", "browser"),
    ],
)
@pytest.mark.slow
def test_a_page_is_served_until_ctrl_c(words, bright, tmp_path):
    port = free_port()
    file = tmp_path / "booth.toml"
    command = [sys.executable, "-m", "stream"]
    options = ["--model", str(bright)]
    if words[0] == "serve":
        options += ["--port", str(port)]
    else:
        # Only a file says more of the page than that there is one.
        plan = RunPlan(
            SourcePlan("pattern"), (OutputPlan("browser"),),
            live=LiveOptions(display="browser"), serve=ServeOptions(port=port),
        )  # fmt: skip
        file.write_text(
            saved_config.dump(plan).replace("[live]", f'[model]\nmodel = "{bright}"\n[live]')
        )
        words, options = ("run", str(file)), []
    done = subprocess.Popen(
        [*command, *words, *options],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(), cwd=tmp_path,
    )  # fmt: skip
    assert done.stderr is not None
    line = done.stderr.readline()
    assert f"http://127.0.0.1:{port}/" in line, line
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
        assert answer.status == 200 and b"stream" in answer.read()
    done.send_signal(signal.SIGINT)
    _, err = done.communicate(timeout=60)
    assert done.returncode == 0 and not re.search("Traceback|ERROR", err), err


def test_a_file_says_all_that_the_command_line_does():
    plan = RunPlan(
        SourcePlan("pattern"),
        (OutputPlan("browser"),),
        live=LiveOptions(display="browser"),
        serve=ServeOptions(host="0.0.0.0", port=81, controls=False, allow_host=("booth.example",)),
    )
    assert config.loads(saved_config.dump(plan)) == [plan]


@pytest.mark.parametrize(
    ("value", "wanted"), [("false", "none"), ("true", "window"), ('"browser"', "browser")]
)
def test_yes_and_no_mean_what_they_meant(value, wanted):
    text = f'live.display = {value}\n[[source]]\ntarget = "pattern"\n'
    assert config.loads(text)[0].live.display == wanted

"""What the README shows is run as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import environment

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_python_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", example],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "person" in done.stdout


def test_the_first_commands_are_the_two_that_everybody_runs():
    commands = re.findall(r"^    (\S.*)$", README.read_text(), re.MULTILINE)
    assert commands[:2] == ["pip install . && stream demo", "pip install '.[test]' && pytest"]
    script = (README.parent / ".ci" / "run").read_text()
    assert "pip install -q . && stream demo" in script
    assert "pip install -q '.[test]' && pytest" in script


def test_files_it_links_to_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target

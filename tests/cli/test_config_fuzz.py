"""Whatever stands in a configuration file: a run, or one sentence."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.plans.config import loads
from stream.plans.saved_config import dump
from stream.settings.groups import leaves
from stream.settings.options import (
    InputOptions,
    LiveOptions,
    ModelOptions,
    OutputOptions,
    PictureOptions,
    RunOptions,
    TrackingOptions,
)
from tests.plans.test_config import plans

TABLES = {
    "model": ModelOptions,
    "tracking": TrackingOptions,
    "live": LiveOptions,
    "run": RunOptions,
    "[source]": InputOptions,
    "[output]": (PictureOptions, OutputOptions),
    "[source.output]": PictureOptions,
    "nonsense": ModelOptions,
}
KEYS = {
    table: sorted(
        {
            name
            for kind in (kinds if isinstance(kinds, tuple) else (kinds,))
            for name in leaves(kind)
        }
        | {"target", "to", "name", "x y", "é"}
    )
    for table, kinds in TABLES.items()
}
# Nothing here names a camera, a window or an address, which tests have none of.
VALUES = st.sampled_from(
    (
        "true", "false", "0", "1", "-1", "3", "0.5", "1e999", "nan", "-inf", "99999999999999999999",
        '""', '"."', '"in.mp4"', '"out.mkv"', '"{name}.mkv"', '"{x}.mkv"', '"{"',
        '"/no/a.mp4"', '"gone.mp4"', '"default"', '"bright.onnx"',
        '"person"', '"binary"', '"overlay+blur"',
        '"cpu"', '"auto"', '"none"', '"1:30"', '"640x480"', '"libx264"',
        '"ffv1"', '"\\u0000"', '"\\n"',
        "[]", "[[]]", '["in.mp4", "in.mp4"]', "[1, 2]", "[640, 480]", "{}", "{a = 1}",
        "1979-05-27", "1979-05-27T07:32:00Z", "07:32:00", "0x10", "'''a\nb'''", '"ff0000"',
    )
)  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> str:
    """A configuration of tables and keys that there are, with values of any kind."""
    lines = []
    if draw(st.integers(0, 3)):
        lines += ["[model]", 'model = "bright.onnx"', 'provider = "cpu"']
    if draw(st.integers(0, 3)):
        lines += ["[[source]]", 'target = "in.mp4"', "limit = 2"]
    for table in draw(st.lists(st.sampled_from(sorted(KEYS)), max_size=4)):
        if f"[{table}]" not in lines or table.startswith("["):
            lines.append(f"[{table}]")
        lines += [
            f"{key if key.isidentifier() and key.isascii() else repr(key)} = {draw(VALUES)}"
            for key in draw(st.lists(st.sampled_from(KEYS[table]), max_size=3, unique=True))
        ]
    return "\n".join(lines) + draw(st.sampled_from(("", "\n", "\n[[output]]\nto = 'made.mkv'\n")))


@pytest.fixture
def judge(stream, clip, bright, tmp_path):
    """Runs a configuration, and looks at how it ends."""

    def run(text: str) -> None:
        for made in tmp_path.glob("made.*"):
            made.unlink()
        (tmp_path / "x.toml").write_bytes(text.encode())
        result = stream("run", "x.toml", "--quiet")
        assert result.code in (0, 1, 2)
        assert "fault of the program" not in result.err and "Traceback" not in result.err, text
        if result.code:
            assert result.err.startswith("stream: "), text
        (tmp_path / "again.toml").unlink(missing_ok=True)
        saved = stream("run", "x.toml", "--save-config", "again.toml", "--quiet")
        if saved.code == 0:
            again = (tmp_path / "again.toml").read_text()
            tomllib.loads(again)
            assert dump(loads(again)) == again

    return run


CHECKS = list(HealthCheck)


@given(text=files())
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=CHECKS)
def test_a_configuration_runs_or_is_refused(judge, text):
    judge(text)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@given(text=files())
@settings(max_examples=2000, deadline=None, suppress_health_check=CHECKS)
def test_two_thousand_configurations_run_or_are_refused(judge, text):
    judge(text)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@given(plans())
@settings(max_examples=2000, deadline=None, suppress_health_check=CHECKS)
def test_two_thousand_plans_are_read_again_as_they_were(found):
    text = dump(found)
    tomllib.loads(text)
    assert loads(text) == found

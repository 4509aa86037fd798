import subprocess
import sys

import psutil
import pytest

from stream.system import cpu
from stream.system.cpu import _physical, available_cores


def test_processors_that_share_a_core_are_one(tmp_path):
    for name in ("core_cpus_list", "thread_siblings_list"):
        folder = tmp_path / name
        for number, shared in enumerate(("0,2", "1,3", "0,2", "1,3", "4")):
            file = folder / f"cpu{number}" / "topology" / name
            file.parent.mkdir(parents=True)
            file.write_text(f"{shared}\n")
        (folder / "cpufreq").mkdir()
        assert _physical(folder) == 3


def test_where_the_system_does_not_say_psutil_does(tmp_path):
    assert _physical(tmp_path) == psutil.cpu_count(logical=False)
    assert 1 <= available_cores() <= psutil.cpu_count()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no printf")
def test_what_macos_says_may_hold_any_bytes(monkeypatch):
    said = (
        r"machdep.cpu.brand_string: Apple M2\nhw.optional.arm.FEAT_DotProd: 1\n"
        r"hw.optional.arm.FEAT_I8MM: 0\nkern.some: \377\376\n"
    )
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **how: real(["printf", said], **how))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(cpu.platform, "processor", lambda: "arm")
    found = cpu.processor.__wrapped__()
    assert (found.model, found.features) == ("Apple M2", {"dotprod"})
    assert found.fast_int8 and not found.narrow_sums

"""How processes are started that Ctrl-C in the terminal is not for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stream.system.apart import apart


def test_each_system_has_a_way_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for system in ("linux", "darwin"):
        monkeypatch.setattr(sys, "platform", system)
        assert apart() == {"start_new_session": True}
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    assert apart() == {"creationflags": 0x200}

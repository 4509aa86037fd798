"""Inference that lets everything else go first."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream import Segmenter
from stream.errors import ModelError
from stream.inference import yielding as module
from stream.inference.yielding import yielding
from tests import photos

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="threads have no niceness of their own")


def niceness(thread: int | None = None) -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id() if thread is None else thread)


class Session:
    """Says in which thread it was opened, and in which it runs."""

    def __init__(self, fixed: Mapping[str, int]) -> None:
        self.fixed, self.opened = dict(fixed), niceness()
        begun: list[int] = []
        child = threading.Thread(target=lambda: begun.append(niceness()))
        child.start()
        child.join()
        self.begun = begun[0]

    def run(self, outputs: Any, inputs: Mapping[str, Any]) -> list[Any]:
        if not inputs:
            raise ValueError("nothing comes in")
        return [niceness(), outputs]

    def get_providers(self) -> list[str]:
        return ["here"]


@LINUX
def test_it_computes_after_all_others_and_so_do_its_threads() -> None:
    before = niceness()
    session: Any = yielding(Session)({"width": 8})
    later = min(19, before + module._LATER)
    assert session.fixed == {"width": 8}
    assert session.opened == session.begun == later > before
    assert session.run(["boxes"], {"image": 1}) == [later, ["boxes"]]
    assert niceness() == before


def test_errors_and_all_else_come_through() -> None:
    session: Any = yielding(Session)({})
    assert session.get_providers() == ["here"]
    with pytest.raises(ValueError, match="nothing comes in"):
        session.run(None, {})
    with pytest.raises(AttributeError):
        _ = session.no_such_thing

    def refuses(fixed: Mapping[str, int]) -> Any:
        raise ModelError("not this one")

    with pytest.raises(ModelError, match="not this one"):
        yielding(refuses)({})


def test_its_thread_ends_with_it() -> None:
    session: Any = yielding(Session)({})
    begun = [one for one in threading.enumerate() if one.name.startswith("stream-model")]
    assert begun
    del session
    gc.collect()
    for thread in begun:
        thread.join(30)
        assert not thread.is_alive()


@LINUX
def test_a_model_answers_as_ever_from_threads_that_go_last() -> None:
    picture = photos.astronaut()
    tasks = Path("/proc/self/task")
    before = {int(one.name) for one in tasks.iterdir()}
    segmenter = Segmenter.load(provider="cpu", threads=2, yields=True, picture_size=(512, 512))
    found = segmenter(picture)
    own = {int(one.name) for one in tasks.iterdir()} - before
    later = min(19, niceness() + module._LATER)
    # The background's and ONNX Runtime's; OpenCV's, which make the model's input, go on as before.
    assert sum(niceness(one) == later for one in own) >= 2
    plain = Segmenter.load(provider="cpu", threads=2, picture_size=(512, 512))(picture)
    assert len(found) == len(plain) > 0
    np.testing.assert_array_equal(found.boxes, plain.boxes)
    np.testing.assert_array_equal(found.masks, plain.masks)

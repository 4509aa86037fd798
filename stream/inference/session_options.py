"""How ONNX Runtime's threads share a machine with all else that runs there."""

from __future__ import annotations

import re

from stream.inference.onnx_runtime import SessionOptions
from stream.inference.providers import runtime
from stream.kernels import layers
from stream.system.cpu import available_cores

_SPIN_US = 50
"""Microseconds for which a thread looks out for its next piece of work before it sleeps."""

_BRIEFLY_SINCE = (1, 26)
"""ONNX Runtime's release that can be told how long; those before spin on for much longer."""


def session_options(
    threads: int | None, *, spins: bool = False, own: bool = False, core: int | None = None
) -> SessionOptions:
    """Options for one session of a process that also decodes and encodes video.

    Threads and spinning by measurement: a MobileNetV2 at 512x384 in float32 beside an x264 encoder
    at 1280x720 that never pauses, on two cores of an AMD EPYC (Zen 5) that also ran a training;
    milliseconds per inference (median, 95th percentile) and frames encoded per second meanwhile:

        1 thread               79, 142   46        1 thread, spinning     68, 140   55
        2 threads              30,  82   60        2 threads, spinning    72, 168   39

    Threads that spin as long as they wait take the time from the encoder, and then from each other.
    An inference is some hundred short sections that all threads join, though, and waking a thread
    for each costs more than the next section is away. What spinning briefly brings, and only
    within an inference, is in docs/performance.md.

    Args:
        threads: for computing on the CPU; None for as many as there are cores.
        spins: whether threads spin briefly between the sections of one inference: for a picture
            that is waited for.
        own: whether the graph may have layers of `stream.kernels`, where there are such.
        core: where the second of two threads computes; None where the system chooses.
    """
    options = runtime().SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.intra_op_num_threads = threads or available_cores()
    brief = spins and _release(runtime().__version__) >= _BRIEFLY_SINCE
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if brief else "0")
    if brief:
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(_SPIN_US))
        options.add_session_config_entry("session.force_spinning_stop", "1")
    if core is not None:  # They are counted from 1 there.
        options.add_session_config_entry("session.intra_op_thread_affinities", str(core + 1))
    kernels = layers() if own else None
    if kernels is not None:
        options.register_custom_ops_library(str(kernels.path))
    return options


def _release(version: str) -> tuple[int, ...]:
    """Major and minor of a version such as 1.31.0.dev20260101."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])

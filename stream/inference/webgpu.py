"""WebGPU's plug-in: any graphics processor, through Vulkan, Direct3D 12 or Metal.

Seen on a graphics processor made of software alone (SwiftShader), where answers of the default
model are the CPU's to 0.0002 pixels and its speed says nothing.
"""

from __future__ import annotations

import sys

from stream.inference.nvidia import NONE, Obstacle

PACKAGE = "onnxruntime_ep_webgpu"

OPTIONS = {"enableInt64": "1"}
"""Indices are whole numbers of 64 bits. Left to the CPU, 41 of the default model's 450 nodes run
there where its input's size is known and 109 of 587 where it is not; so 12 and 16 do, and what they
read and write travels less."""

_CPU = "use --provider cpu"


def failure(message: str) -> Obstacle:
    """Why the plug-in failed, and what to do, of its own words; `NONE` where these say no more."""
    if "WebGPU adapter" in message:
        advice = f"update the graphics driver, or {_CPU}"
        if sys.platform == "linux":
            advice = (
                "install Vulkan for it (on Debian and Ubuntu libvulkan1 and mesa-vulkan-drivers; "
                f"NVIDIA's driver brings its own), or {_CPU}"
            )
        return "there is no graphics driver here that is recent enough", advice
    if "requires f16" in message:
        return "this graphics processor does not compute in float16", "use the float32 model"
    return NONE

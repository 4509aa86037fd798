"""Products in bf16 where the device has instructions for them, in float32 elsewhere."""

from __future__ import annotations

import torch

from stream.system.cpu import processor


def has_bf16(device: torch.device) -> bool:
    """Whether products in bf16 are a device's own, so that they save time.

    PyTorch takes them anywhere: emulated on a processor with AVX2 alone (Zen 3) a batch took eleven
    times as long as in float32, and judging a picture fourteen times.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Without oneDNN (on macOS) PyTorch does not use what the processor has.
    ours = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(ours) and "bf16" in processor().features


def quick_products(device: torch.device, rounded: bool = True) -> torch.autocast:
    """A context in which products are taken in bf16 where that is quicker and they may be rounded.

    Args:
        device: where they are computed.
        rounded: False takes them in float32 everywhere.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=rounded and has_bf16(device))

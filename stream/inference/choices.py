"""Names that the command line offers; light, so that its help need not load anything."""

from __future__ import annotations

from typing import Literal

ProviderName = Literal["auto", "cpu", "cuda", "tensorrt", "openvino"]

"""How OpenVINO's plug-in is set up on a CPU."""

from __future__ import annotations

import json


def cpu_options(threads: int, workers: int, precision: str = "float32") -> dict[str, str]:
    """The provider's options for so many threads, shared by so many inferences at once.

    Left to itself it computes one inference at a time, each on a single core where there are two,
    and leaves the other idle. Frames per second of the default model in files, and processor time
    for each, on two cores of a busy Intel Xeon (AMX); medians of three, in turns:

        OpenVINO, float32 (bf16), left to itself   35    26 ms
        OpenVINO, float32 (bf16), two workers      70    23 ms
        OpenVINO, int8, two workers                85    20 ms
        built-in CPU provider, int8, two workers   41    37 ms

    What an int8 model leaves in float32 is little, and would be rounded to bf16: exact, it costs 5%
    and gives 0.004 of mask AP back (people, the 160 COCO pictures: 0.412 and 0.416).

    OpenVINO's own cache of compiled models is left alone: see `stream.inference.kept_compiled`.
    """
    config: dict[str, str] = {
        "PERFORMANCE_HINT": "THROUGHPUT" if workers > 1 else "LATENCY",
        "NUM_STREAMS": str(workers),
        "INFERENCE_NUM_THREADS": str(threads),
        # Bound to a core each, they would wait there for the encoder while another core is idle.
        "ENABLE_CPU_PINNING": "NO",
    }
    if precision == "int8":
        config["INFERENCE_PRECISION_HINT"] = "f32"
    return {"load_config": json.dumps({"CPU": config})}

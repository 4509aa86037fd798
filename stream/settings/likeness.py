"""What a word that is not known was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

# Words for the same thing; by its letters "gpu" would be nearest to "cpu", its opposite.
_VALUES = {
    "gpu": "cuda",
    "nvidia": "cuda",
    "cudnn": "cuda",
    "trt": "tensorrt",
    "intel": "openvino",
    **dict.fromkeys(("vulkan", "metal", "directml", "dml", "rocm"), "webgpu"),
    **dict.fromkeys(("amd", "radeon"), "webgpu"),
    **dict.fromkeys(("apple", "mps"), "coreml"),
    "processor": "cpu",
    "gray": "grey",
    "mosaic": "pixelate",
    "mask": "binary",
}

_KEYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("path", "file", "filename"), ("target", "to")),
    **dict.fromkeys(("input", "url", "address", "source", "src", "camera"), ("target",)),
    **dict.fromkeys(("output", "dest", "destination"), ("to",)),
    **dict.fromkeys(("fps", "framerate", "frame-rate"), ("rate",)),
}
"""Keys of configuration files and of writers, as one might call them."""

_OTHER_WORDS: Mapping[str, str | tuple[str, ...]] = {
    # Options, as other programs call them.
    **dict.fromkeys(("conf", "confidence", "score", "min-score", "score-threshold"), "threshold"),
    **dict.fromkeys(("conf-thres", "conf-threshold", "confidence-threshold"), "threshold"),
    **dict.fromkeys(("score-thr", "thr", "thresh", "min-confidence"), "threshold"),
    **dict.fromkeys(("weights", "checkpoint", "network", "onnx"), "model"),
    **dict.fromkeys(("trained-model", "config-file", "ckpt"), "model"),
    **dict.fromkeys(("top-k", "max-det", "max-detections"), "select"),
    **dict.fromkeys(("gpu", "cpu", "cuda", "use-gpu", "backend", "ep", "device"), "provider"),
    **dict.fromkeys(("effect", "mode", "style", "visualize", "overlay"), "look"),
    **dict.fromkeys(("alpha", "transparency"), "opacity"),
    **dict.fromkeys(("hide-labels", "hide-conf", "no-labels", "show-labels"), "label"),
    **dict.fromkeys(("line-width", "line-thickness", "thickness"), "contour-width"),
    **dict.fromkeys(
        ("stride", "skip", "interval", "frame-skip", "skip-frames", "vid-stride"), "every"
    ),
    **dict.fromkeys(("imgsz", "img-size", "image-size", "shortest", "min-size"), "input-size"),
    **dict.fromkeys(("tta", "augment", "flip", "multi-scale", "multiscale"), "views"),
    **dict.fromkeys(("quality", "bitrate", "cq", "q:v", "b:v"), "crf"),
    **dict.fromkeys(("c", "c:v", "vcodec", "codec:v"), "codec"),
    **dict.fromkeys(("pix-fmt",), "pixel-format"),
    **dict.fromkeys(("loglevel", "hide-banner"), "quiet"),
    **dict.fromkeys(("frames", "frames:v", "vframes"), ("limit", "seconds")),
    **dict.fromkeys(("max-frames", "num-frames"), ("limit", "seconds")),
    **dict.fromkeys(("limit", "end"), "seconds"),
    **dict.fromkeys(("force", "yes", "replace", "exist-ok", "y"), "overwrite"),
    **dict.fromkeys(("headless", "no-window", "no-show", "no-gui"), "no-display"),
    **dict.fromkeys(("show", "view", "window", "gui"), "display"),
    **dict.fromkeys(("resolution", "dimensions", "width", "height"), "size"),
    **dict.fromkeys(("bg", "background-color", "background-colour"), "background"),
    **dict.fromkeys(("framerate", "frame-rate"), "fps"),
    **dict.fromkeys(("save", "out", "dest", "destination"), "output"),
    **dict.fromkeys(("json", "csv", "save-txt", "results"), "records"),
    **dict.fromkeys(("ss", "seek", "begin"), "start"),
    **dict.fromkeys(("filter-classes", "only", "names"), "classes"),
    **dict.fromkeys(("anonymize", "anonymise", "redact"), "hide"),
    **dict.fromkeys(("duration", "t", "to"), ("end", "seconds")),
    "retry": "give-up",
    # Commands.
    **dict.fromkeys(("video", "movie", "film", "play", "process"), "file"),
    **dict.fromkeys(("predict", "segment", "detect", "infer", "track", "splash"), "file"),
    **dict.fromkeys(("photo", "picture", "pictures", "images", "img"), "image"),
    **dict.fromkeys(("camera", "cam"), ("webcam", "device")),
    "live": "webcam",
    **dict.fromkeys(("rtsp", "ip-camera", "network"), "url"),
    **dict.fromkeys(("benchmark", "speed"), "bench"),
    **dict.fromkeys(("check", "info", "diagnose"), "doctor"),
    "batch": "fleet",
}


_SLIP = 0.85
"""How like a word must be to another to be that one with a slip of the fingers, by difflib."""
_LIKE = 0.68
"""How like to be perhaps meant."""


def nearest(word: str, known: Iterable[str], *, by_letters: bool = True) -> str:
    """The known word that was most likely meant; "" where none is near.

    Args:
        word: what was given.
        known: what there is.
        by_letters: whether one that is only somewhat like it may be.
    """
    known = list(known)
    dashes = "--" if word.startswith("--") else ""
    # Hyphens that all have make none like another.
    alike = [one for one in reversed(known) if one.startswith(dashes)]
    bare = {one.removeprefix(dashes).casefold(): one for one in alike}
    letters = word.removeprefix(dashes).casefold()
    close = difflib.get_close_matches(letters, bare, n=1, cutoff=_SLIP)
    if close:
        return bare[close[0]]
    plain = letters.replace("_", "-")
    same = _OTHER_WORDS.get(plain, ())
    same = (same,) if isinstance(same, str) else same
    for other in (*filter(None, [_VALUES.get(plain)]), *same, *_KEYS.get(plain, ())):
        for spelt in (f"{dashes}{other}", f"{dashes}{other.replace('-', '_')}"):
            if spelt in known:
                return spelt
    if not by_letters:
        return ""
    return next((bare[one] for one in difflib.get_close_matches(letters, bare, 1, _LIKE)), "")

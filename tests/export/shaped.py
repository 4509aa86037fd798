"""Networks whose answers are worth comparing, without training.

Random weights score everything alike and let activations explode, so that a comparison would prove
nothing. Here the norms take the statistics of a picture, as a trained network's have, and the last
layers are scaled until scores are spread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests import photos
from tests.export.lazily import lazily

torch = lazily("torch")
random = lazily("stream_export.converters.torchvision.model", "random")


def pictures() -> list[NDArray[np.uint8]]:
    """Real photographs of different shapes, uint8 [H, W, 3] RGB."""
    return [photos.astronaut(), photos.cat(), photos.coffee(), photos.rocket()]


def shaped(
    arch: str, classes: int = 7, *, short: int = 192, long: int = 256, background: float = 6.0
) -> Any:
    """A torchvision Mask R-CNN with spread scores, for pictures of this size."""
    return spread(random(arch, classes), short=short, long=long, background=background)


def spread(model: Any, *, short: int = 192, long: int = 256, background: float = 6.0) -> Any:
    """The same of a model that is there already; it is changed and returned."""
    model.transform.min_size, model.transform.max_size = (short,), long
    # Few enough to be quick, enough for every step to have something to do.
    model.rpn._pre_nms_top_n["testing"] = model.rpn._post_nms_top_n["testing"] = 150
    model.roi_heads.detections_per_img = 20
    planes = torch.from_numpy(photos.astronaut()).permute(2, 0, 1).contiguous() / 255
    hooks = [
        module.register_forward_pre_hook(_take_statistics)
        for module in model.modules()
        if hasattr(module, "running_mean")
    ]
    seen: dict[str, torch.Tensor] = {}
    layers = {
        "objectness": model.rpn.head.cls_logits,
        "classes": model.roi_heads.box_predictor.cls_score,
        "deltas": model.roi_heads.box_predictor.bbox_pred,
        "masks": model.roi_heads.mask_predictor.mask_fcn_logits,
    }
    deviations = {"objectness": 2.0, "classes": 2.0, "deltas": 0.5, "masks": 3.0}
    with torch.no_grad():
        for name, layer in layers.items():
            hook = layer.register_forward_hook(
                lambda _, __, output, name=name: seen.update({name: output})
            )
            model([planes])
            hook.remove()
            layer.weight *= deviations[name] / seen[name].std()
            for old in hooks:
                old.remove()
            hooks = []
        # Most proposals are background, as they should be.
        model.roi_heads.box_predictor.cls_score.bias[0] += background
    return model


def _take_statistics(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    values = inputs[0]
    module.running_mean.copy_(values.mean((0, 2, 3)))
    module.running_var.copy_(values.var((0, 2, 3)) + 1e-3)

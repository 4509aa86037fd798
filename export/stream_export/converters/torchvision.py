"""torchvision's Mask R-CNNs, published or fine-tuned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from stream.errors import ModelError, UsageError
from stream.inference.contract import Metadata
from stream.instances import Instances
from stream_export.options import edges_of, parse_size, read_names
from stream_export.registry import OPTIONS_KEY, Converter, need_extra

if TYPE_CHECKING:
    import onnx

SYSTEM = "torchvision"
SIZE = "800/1333"


def convert(
    model: Any,
    *,
    names: tuple[str, ...],
    size: str = SIZE,
    exact: bool = True,
    detections: int | None = None,
    proposals: int | None = None,
    score: float | None = None,
    origin: str = "torchvision",
    licence: str = "unknown",
    training_data: str = "unknown",
    options: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """Converts any `torchvision.models.detection.MaskRCNN`, also one built by hand.

    Args:
        model: in any mode; its own thresholds hold where none are given.
        names: of the classes, without background.
        size: "800/1333" or "640x384", see `parse_size`.
        exact: whether the graph resizes the picture as torchvision does, for a shortest edge;
            otherwise the runtime does, faster and nearly the same.
        detections: at most this many.
        proposals: kept per level before suppression and over all after it.
        score: detections must be better than this, 0..1.
        origin: told in the metadata.
        licence: of the weights.
        training_data: what they were trained on.
        options: what `verify` needs to build the model again.

    Returns:
        A model that keeps the contract.

    Raises:
        ModelError: it cannot be exported.
        UsageError: a size that makes no sense.
    """
    need_extra()
    from stream_export.converters._torchvision_form import TorchvisionForm
    from stream_export.onnx_export import export_module
    from stream_export.registry import OPTIONS_KEY

    model = model.eval()
    resize = parse_size(size, in_graph=exact)
    first, second = edges_of(size)
    letterbox = resize.mode == "letterbox"
    if not letterbox:
        model.transform.min_size, model.transform.max_size = (first,), second
    form = TorchvisionForm(
        model,
        detections=detections,
        proposals=proposals,
        score=score,
        native=resize.mode == "native",
    )
    metadata = Metadata(
        names=names,
        resize=resize,
        origin=origin,
        licence=licence,
        training_data=training_data,
    )
    height, width = (second, first) if letterbox else (first, first * 4 // 3)
    exported = export_module(form, metadata, height=height, width=width, dynamic=not letterbox)
    entry = exported.metadata_props.add()
    entry.key = OPTIONS_KEY
    entry.value = json.dumps(
        {
            "system": SYSTEM,
            "size": size,
            "detections": detections,
            "proposals": proposals,
            "score": score,
            **(options or {}),
        }
    )
    return exported


def command(
    output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.")],
    arch: Annotated[
        str | None,
        typer.Option(
            help="Such as maskrcnn_resnet50_fpn; read from the weights where they are a file."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="A torchvision name (COCO_V1), a state dict (mine.pth), or 'random'; "
            "torchvision's own default otherwise."
        ),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="Class names, one a line, without background.")
    ] = None,
    size: Annotated[
        str,
        typer.Option(help="Shortest edge and its maximum (800/1333), or a letterbox (640x384)."),
    ] = SIZE,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact/--fast",
            help="Resize in the graph as torchvision does, or before it, faster.",
        ),
    ] = True,
    detections: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
    proposals: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
    score: Annotated[float | None, typer.Option(min=0, max=1, help="Lowest score.")] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Of frozen norms, where it is not torchvision's own.")
    ] = None,
) -> None:
    """Export a Mask R-CNN of torchvision, published or fine-tuned."""
    need_extra()
    from stream_export.checkpoints.recognise import wrong_file
    from stream_export.metadata import save_model
    from stream_export.report import announce

    try:
        model, resolved, source = _open(arch, weights, epsilon)
    except ModelError as error:
        if weights is None or not Path(weights).exists():
            raise
        raise wrong_file(Path(weights), SYSTEM, error) from error
    exported = convert(
        model,
        names=_names(model, names),
        size=size,
        exact=exact,
        detections=detections,
        proposals=proposals,
        score=score,
        origin=f"torchvision {resolved}, weights {source}",
        licence="BSD-3-Clause" if source.startswith("torchvision ") else "unknown",
        training_data="COCO 2017" if source.startswith("torchvision ") else "unknown",
        options={"arch": resolved, "weights": weights, "epsilon": epsilon},
    )
    save_model(exported, output)
    announce(output)


def _open(arch: str | None, weights: str | None, epsilon: float | None) -> tuple[Any, str, str]:
    """The model, its architecture, and where its weights are from."""
    from stream_export.converters import _torchvision_model as models
    from stream_export.converters._torchvision_weights import layout, published, read_checkpoint

    is_file = weights is not None and (
        Path(weights).suffix in {".pth", ".pt", ".bin", ".ckpt"} or Path(weights).exists()
    )
    if arch is None and not is_file:
        raise UsageError("name the architecture with --arch, such as maskrcnn_resnet50_fpn")
    if weights == "random":
        assert arch is not None
        return models.random(arch, 91), arch, "random"
    if is_file:
        assert weights is not None
        path = Path(weights)
        state = read_checkpoint(path)
        model = models.from_state(state, arch, str(path), epsilon)
        return model, layout(state, str(path)).arch, path.name
    assert arch is not None
    state = published(arch, weights)
    model = models.from_state(state, arch, arch, epsilon)
    return model, arch, f"torchvision {weights or 'DEFAULT'}"


def _names(model: Any, path: Path | None) -> tuple[str, ...]:
    """The names of a model's classes, torchvision's own for COCO's 90."""
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights as Published

    from stream_export.converters._torchvision_model import classes_of

    count = classes_of(model)
    if path is not None:
        return read_names(path, count)
    coco = tuple(str(name) for name in Published.COCO_V1.meta["categories"][1:])
    if count == len(coco):
        # Ten of COCO's numbers belong to no class; torchvision calls them so, and a trained
        # network never answers with them. Leaving them out would change what others answer.
        return coco
    if count == 1:
        return ("object",)
    raise UsageError(
        f"the weights tell {count} classes apart; give their names with --names FILE, one a line"
    )


class TorchvisionOrigin:
    """A torchvision model that answers in our terms, by its own code up to the pasting."""

    def __init__(self, model: Any, names: tuple[str, ...], letterbox: str | None = None) -> None:
        """Takes a model in evaluation mode; `letterbox` is a --size it is to be shown."""
        self.model = model
        self.names = names
        self.letterbox = letterbox

    def __call__(self, picture: NDArray[np.uint8]) -> Instances:
        """What it finds in a picture, uint8 [H, W, 3] RGB; masks float32 [N, 28, 28]."""
        from stream.inference.postprocess import Raw, to_instances
        from stream.inference.preprocess import Preprocessor

        if self.letterbox is None:
            return self._answer(picture)
        prepared = Preprocessor(parse_size(self.letterbox, in_graph=False))(picture)
        found = self._answer(prepared.tensor[0])
        raw = Raw(found.boxes, found.scores, found.labels, found.masks)
        return to_instances(raw, prepared.geometry, self.names, threshold=0, mask_threshold=0.5)

    def _answer(self, picture: NDArray[np.uint8]) -> Instances:
        import torch
        from torchvision.models.detection.transform import resize_boxes

        model = self.model
        with torch.no_grad():
            planes = torch.from_numpy(picture).permute(2, 0, 1).contiguous() / 255
            images, _ = model.transform([planes])
            features = model.backbone(images.tensors)
            proposals, _ = model.rpn(images, features)
            found, _ = model.roi_heads(features, proposals, images.image_sizes)
        size = (picture.shape[0], picture.shape[1])
        boxes = resize_boxes(found[0]["boxes"], images.image_sizes[0], size)
        return Instances(
            boxes=boxes.numpy(),
            scores=found[0]["scores"].numpy(),
            labels=found[0]["labels"].numpy() - 1,
            masks=found[0]["masks"][:, 0].numpy(),
            class_names=self.names,
            picture_size=size,
        )


def open_origin(against: str, options: Mapping[str, Any]) -> TorchvisionOrigin:
    """Builds the torchvision model that a file was exported from, with the same options."""
    need_extra()
    arch = options.get("arch")
    weights: str | None = against or options.get("weights")
    if against.startswith("maskrcnn_"):
        arch, weights = against, None
    elif weights is not None and Path(weights).suffix and against:
        arch = None
    model, _, _ = _open(arch, weights, options.get("epsilon"))
    size = str(options.get("size", SIZE))
    first, second = edges_of(size)
    letterbox = "/" not in size
    low, high = min(first, second), max(first, second)
    # A letterboxed input has these very edges, so torchvision leaves it as it is.
    model.transform.min_size, model.transform.max_size = (low,), high
    if options.get("score") is not None:
        model.roi_heads.score_thresh = options["score"]
    if options.get("detections") is not None:
        model.roi_heads.detections_per_img = options["detections"]
    if options.get("proposals") is not None:
        for counts in (model.rpn._pre_nms_top_n, model.rpn._post_nms_top_n):
            counts["testing"] = options["proposals"]
    names = tuple(f"class {number}" for number in range(model_classes(model)))
    return TorchvisionOrigin(model, names, size if letterbox else None)


def model_classes(model: Any) -> int:
    """How many classes a model tells apart, without background."""
    from stream_export.converters._torchvision_model import classes_of

    return classes_of(model)


CONVERTER = Converter(
    name=SYSTEM,
    summary="A Mask R-CNN of torchvision, published or fine-tuned.",
    command=command,
    origin=open_origin,
)

__all__ = ["CONVERTER", "OPTIONS_KEY", "TorchvisionOrigin", "convert", "open_origin"]

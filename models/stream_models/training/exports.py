"""What tools export that is no training set yet, and how to get one from the same tool."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar")
_HEAD = 1 << 16
"""Characters of a file that are looked at: in front of the first signs there may be long lists."""


@dataclasses.dataclass(frozen=True)
class _Export:
    """A tool's own form.

    Attributes:
        files: what its files are called, as patterns below the folder.
        sign: what the head of such a file holds; empty where the name says enough.
        what: what the form is, behind "holds".
        instead: what to do.
    """

    files: tuple[str, ...]
    sign: str
    what: str
    instead: str


_ANY_JSON = ("*.json", "*/*.json", "*/*/*.json")
_EXPORTS = (
    _Export(
        ("*.xml", "*/*.xml"),
        "",
        "labels in XML, such as CVAT's own or Pascal VOC's",
        "export them in COCO format",
    ),
    _Export(
        (*_ANY_JSON, "*.csv", "*/*.csv"),
        r'"_via_settings"|"shape_attributes"|"file_attributes"|region_shape_attributes',
        "labels as VIA (the VGG Image Annotator) keeps them",
        "choose Annotation, Export Annotations (COCO format) there",
    ),
    _Export(
        _ANY_JSON,
        r'"projectType"|"classTitle"',
        "labels in Supervisely's own form",
        'export them by its app "Export to COCO"',
    ),
    _Export(
        _ANY_JSON,
        r'"from_name"|"lead_time"|"(polygon|brush|rectangle)labels"',
        "tasks in Label Studio's own form",
        "choose COCO among its exports",
    ),
    _Export(
        _ANY_JSON,
        r'"categories":\s*\{\s*"label"',
        "labels in Datumaro's form",
        'export them as COCO ("COCO 1.0" in CVAT)',
    ),
    _Export(
        ("*.createml.json", "*/*.createml.json"),
        "",
        "boxes in CreateML's form",
        "export them as COCO (with masks: COCO Segmentation)",
    ),
    _Export(
        ("SegmentationObject", "*/SegmentationObject", "*/*/SegmentationObject"),
        "",
        "masks in Pascal VOC's form, as CVAT (Segmentation mask 1.1) and labelme2voc write them",
        'export COCO instead ("COCO 1.0" in CVAT), or give labelme\'s own files',
    ),
    _Export(
        ("_classes.csv", "*/_classes.csv"),
        "",
        "masks of whole classes, which do not tell two objects apart",
        "export objects (in Roboflow as COCO Segmentation)",
    ),
    _Export(
        ("*.tfrecord*", "*/*.tfrecord*", "*.record*", "*/*.record*"),
        "",
        "records of TensorFlow's",
        "export the labels that they were made from as COCO",
    ),
)


def slip(folder: Path) -> str | None:
    """What to do with what tools export, and which is no training set yet; None for all else.

    `folder` may be a file.
    """
    inner = sorted(folder.iterdir()) if folder.is_dir() else [folder]
    packed = next((file for file in inner if file.suffix.lower() in _ARCHIVES), None)
    if packed is not None:
        return f"{packed} is an archive: unpack it, and give the folder"
    if not folder.is_dir():
        return own_form(folder)
    for export in _EXPORTS:
        for pattern in export.files:
            first = min(folder.glob(pattern), default=None)
            if first is not None and _shows(first, export):
                return _said(first, export)
    return None


def own_form(file: Path) -> str | None:
    """The same of one file, by its name and its head."""
    for export in _EXPORTS:
        if any(file.match(pattern) for pattern in export.files) and _shows(file, export):
            return _said(file, export)
    return None


def _said(file: Path, export: _Export) -> str:
    return f"{file} holds {export.what}; this is not read: {export.instead}"


def _shows(file: Path, export: _Export) -> bool:
    if not export.sign:
        return True
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as opened:
            return re.search(export.sign, opened.read(_HEAD)) is not None
    except OSError:
        return False

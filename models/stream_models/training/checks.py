"""Looking over a training set before a long run is begun."""

from __future__ import annotations

import cv2
import numpy as np

from stream_models.training.data import DataSet
from stream_models.training.picture_files import load_picture
from stream_models.training.polygons import draw


def check(data: DataSet) -> list[str]:
    """Everything that is wrong with a set, one sentence each, in the order of its pictures.

    Beyond what reading finds: pictures that cannot be decoded or have another size than their
    annotation says, and masks that cover nothing or lie far outside their box.
    """
    problems = list(data.problems)
    for picture in data.pictures:
        try:
            load_picture(picture)
        except ValueError as error:
            problems.append(str(error))
            continue
        for item in picture.objects:
            if not item.polygons or item.crowd:
                continue
            canvas = np.zeros((picture.height, picture.width), np.uint8)
            draw(item.polygons, canvas, 1)
            x, y, w, h = cv2.boundingRect(canvas)
            what = f"{picture.path.name}: the mask of a {data.names[item.label]}"
            box = [round(value) for value in item.box]
            if w == 0:
                problems.append(f"{what} covers no pixel of the picture")
            elif x + w < box[0] or y + h < box[1] or x > box[2] or y > box[3]:
                problems.append(f"{what} lies outside its box {box}")
    if not data.pictures and not problems:
        problems.append("there are no pictures")
    return problems


def without_bad(data: DataSet) -> DataSet:
    """The set without the pictures that cannot be decoded."""
    good = []
    for picture in data.pictures:
        try:
            load_picture(picture)
        except ValueError:
            continue
        good.append(picture)
    return DataSet(data.names, good, [])

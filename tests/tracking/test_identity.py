"""HOTA, IDF1 and the number of identities on made scenes, as the library `trackers` counts them.

The scenes are what a detector would say of people who walk to and fro, cross and hide behind a
pillar: boxes that tremble and shrink where somebody is in front, scores that dip, made-up objects.
"""

from functools import cache

import numpy as np
import pytest

from stream import tracking
from stream.instances import Instances
from tests.tracking.objects import THRESHOLD

WIDTH, HEIGHT, SECONDS, PEOPLE = 640, 480, 12, 4
PILLAR = (300.0, 370.0)


@cache
def scene(rate, seed):
    """For each frame its time, the true boxes by person, and the candidates."""
    return list(frames_of(rate, seed))


def frames_of(rate, seed):
    rng = np.random.default_rng(seed)
    tall = rng.uniform(180, 320, PEOPLE)
    start, speed = rng.uniform(60, WIDTH - 60, PEOPLE), rng.uniform(50, 160, PEOPLE)
    for index in range(int(SECONDS * rate)):
        seconds = index / rate
        path = (start + speed * seconds) % (2 * WIDTH - 160)
        x = 80 + np.where(path < WIDTH - 160, path, 2 * WIDTH - 320 - path)
        boxes = np.stack([x - tall / 6, 440 - tall, x + tall / 6, np.full(PEOPLE, 440.0)], axis=1)
        yield seconds, *look(boxes, rng)


def look(boxes, rng):
    true, rows = {}, []
    # The tallest are in front; columns that are covered are not seen.
    order = np.argsort(-(boxes[:, 3] - boxes[:, 1]))
    hidden = np.zeros(WIDTH, np.bool_)
    hidden[int(PILLAR[0]) : int(PILLAR[1])] = True
    for person in order:
        x1, y1, x2, y2 = boxes[person]
        seen = np.flatnonzero(~hidden[int(x1) : int(x2)])
        hidden[int(x1) : int(x2)] = True
        share = len(seen) / (x2 - x1)
        if share < 0.25:
            continue
        shown = np.array([int(x1) + seen[0], y1, int(x1) + seen[-1] + 1, y2])
        true[int(person)] = shown
        score = np.clip(0.55 + 0.4 * share - rng.exponential(0.06), 0, 0.98)
        rows.append([*(shown + rng.normal(0, 2, 4)), score])
    if rng.random() < 0.1:
        x, y = rng.uniform(0, 400, 2)
        rows.append(
            [x, y, x + rng.uniform(20, 150), y + rng.uniform(20, 80), rng.uniform(0.3, 0.7)]
        )
    return true, candidates(rows)


def candidates(rows):
    table = np.array(rows, np.float32).reshape(-1, 5)
    table = table[np.argsort(-table[:, 4])]
    return Instances(
        boxes=table[:, :4],
        scores=table[:, 4],
        labels=np.zeros(len(table), np.int64),
        masks=np.ones((len(table), 14, 14), np.float32),
        class_names=("person",),
        picture_size=(HEIGHT, WIDTH),
    )


def measured(name, rate):
    """HOTA, IDF1 and how many identities there are for each person, over four scenes."""
    evaluation = pytest.importorskip("trackers.eval")
    truth, answers, similarities = [], [], []
    identities = 0
    for seed in range(4):
        tracker = tracking.make(name)
        highest = 0
        for seconds, true, found in scene(rate, seed):
            kept = found[found.scores >= tracker.floor * THRESHOLD]
            shown = tracker.update(kept, seconds, THRESHOLD)
            truth.append(np.array(list(true), np.int64) + PEOPLE * seed)
            answers.append(shown.track_ids + identities)
            boxes = np.array(list(true.values())).reshape(-1, 4)
            similarities.append(
                evaluation.box_iou(boxes, shown.boxes.astype(float))
                if len(boxes) and len(shown)
                else np.zeros((len(boxes), len(shown)))
            )
            highest = max([highest, *shown.track_ids.tolist()])
        identities += highest
    used = np.unique(np.concatenate(answers))
    answers = [np.searchsorted(used, one) for one in answers]
    hota = evaluation.compute_hota_metrics(truth, answers, similarities)["HOTA"]
    idf1 = evaluation.compute_identity_metrics(truth, answers, similarities)["IDF1"]
    return hota, idf1, len(used) / (4 * PEOPLE)


@pytest.mark.parametrize("rate", [pytest.param(30, marks=pytest.mark.slow), 10, 3])
def test_the_default_follows_people_better_than_the_others(rate):
    figures = {name: measured(name, rate) for name in ("motion", "steady", "bytetrack")}
    hota, idf1, identities = figures.pop("motion")
    assert all(hota > other[0] and idf1 > other[1] for other in figures.values()), figures
    assert identities <= 2

"""Made candidates, and trackers that are fed with them."""

import numpy as np

from stream.instances import Instances
from stream.objects.instance_arrays import amended

THRESHOLD = 0.5
LEFT, RIGHT = (10.0, 10.0, 60.0, 110.0), (100.0, 10.0, 150.0, 110.0)


def found(*objects):
    """Instances of (box, score) or (box, score, label), best first."""
    ranked = sorted(objects, key=lambda one: -one[1])
    count = len(ranked)
    return Instances(
        boxes=np.array([one[0] for one in ranked], np.float32).reshape(count, 4),
        scores=np.array([one[1] for one in ranked], np.float32),
        labels=np.array([one[2] if len(one) > 2 else 0 for one in ranked], np.int64),
        masks=np.ones((count, 28, 28), np.float32),
        class_names=("person", "dog"),
        picture_size=(120, 160),
    )


def moved(box, x=0.0, y=0.0):
    """A box elsewhere."""
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


class Fed:
    """A tracker that is given pictures at a steady rate."""

    def __init__(self, tracker, rate=25.0, start=0.0):
        self.tracker = tracker
        self.step = 1 / rate
        self.seconds = start - self.step

    def __call__(self, *objects):
        """What it shows of the next picture: identity by box."""
        self.seconds += self.step
        shown = self.tracker.update(found(*objects), self.seconds, THRESHOLD)
        assert not amended(shown)
        boxes = map(tuple, shown.boxes.tolist())
        return dict(zip(boxes, shown.track_ids.tolist(), strict=True))

    def wait(self, seconds):
        """Lets time pass in which nothing is inferred."""
        self.seconds += seconds

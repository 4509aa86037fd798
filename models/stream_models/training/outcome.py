"""What a run came to, in sentences: how good its model is, and how to use it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from stream.wording.words import called, some_of
from stream_models.training.data import plain
from stream_models.training.evaluate import Report
from stream_models.training.run import CLASS_FLOOR, Result

_HARDLY = 0.1
"""The AP50 below which a model is good for nothing yet."""
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence for people.

    Attributes:
        text: on one line.
        warns: whether it says what is wrong.
    """

    text: str
    warns: bool = False


def outcome(result: Result) -> list[Sentence]:
    """What is to be said of a run that has ended."""
    said = []
    if result.before is not None:
        said.append(Sentence(f"before  {result.before.line()}"))
    said.append(Sentence(f"after   {result.report.line()}"))
    said.append(Sentence(f"in int8 {result.rounded.line()}"))
    said.append(
        Sentence(
            "AP: how well masks fit what was labelled, from 0 to 1 (AP50, AP75: when they overlap "
            "by half, by three quarters; s, m, l: small, medium and large objects)"
        )
    )
    classes = result.report.of_classes()
    if classes is not None:
        said.append(Sentence(classes))
    said += [Sentence(text, warns=True) for text in _cautions(result)]
    samples = sorted(result.float_model.parent.glob("samples-*.png"))
    look = f"look at {samples[-1]}, then " if samples else ""
    int8, full = (shlex.quote(str(path)) for path in (result.int8_model, result.float_model))
    said.append(Sentence(f"wrote {result.float_model} and {result.int8_model}"))
    said.append(Sentence(f"{look}use it: stream webcam --model {int8} (on a GPU --model {full})"))
    return said


def _cautions(result: Result) -> list[str]:
    said = []
    if result.left_out:
        said.append(
            f"not exported, as they are found too badly (box AP50 below {CLASS_FLOOR}): "
            f"{some_of(result.left_out)}"
        )
    after = _best(result.report)
    if 0 <= after < _HARDLY:
        said.append(
            f"it finds hardly anything yet (AP50 {after:.3f}): let it learn for longer (--steps, "
            "--minutes), or from more pictures; the samples show what it takes for what"
        )
    elif result.before is not None and (lost := _best(result.before) - after) > 0.02:
        said.append(
            f"it is worse than what it began with (AP50 lower by {lost:.3f}); fewer --steps, a "
            "lower --rate or more pictures may help"
        )
    if (few := result.report.caution()) is not None:
        said.append(few)
    return said


def _best(report: Report) -> float:
    """The best AP50 of its groups of pictures; -1 where there was nothing to judge by."""
    return max((figures["AP50"] for figures in report.groups.values()), default=-1.0)


def alike(names: Sequence[str]) -> str | None:
    """A sentence on classes that `class_among` takes for the same; None where there are none."""
    by_name: dict[str, list[str]] = {}
    for name in names:
        by_name.setdefault(plain(name), []).append(name)
    found = [" and ".join(map(called, same)) for same in by_name.values() if len(same) > 1]
    if not found:
        return None
    told = "; ".join(found[:_LISTED])
    return (
        f"classes of their own, though their names are alike: {told}; if they are meant to be one, "
        "give them one name"
    )

"""What is said of that which finds the objects, and of a run to those who record it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Protocol

from stream.run.plan import RunPlan
from stream.sinks.base import About


class Told(Protocol):
    """What is told of that which finds the objects: a model, or records of what one found."""

    threshold: float
    """Lowest score that is kept, 0..1; it may change on the way."""

    @property
    def name(self) -> str:
        """The model's."""

    @property
    def names(self) -> tuple[str, ...]:
        """The classes that there are."""

    @property
    def precision(self) -> str:
        """Of the model; "" where nothing is computed."""

    @property
    def views(self) -> int:
        """How often each picture is looked at; 0 where nothing is computed."""

    @property
    def provider(self) -> str:
        """Where it computes, in words."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on how it computes."""


def about_of(told: Told, plan: RunPlan) -> About:
    """With what a run works, ready for JSON."""
    about: About = {
        "model": told.name,
        "provider": told.provider,
        "classes": list(told.names),
        "options": {**asdict(plan.model), "views": told.views, **asdict(plan.tracking)},
    }
    start = plan.source.options.cut.start
    if start:
        about["start"] = start
    return about

"""What is said of a run to those who record it."""

from __future__ import annotations

from dataclasses import asdict

from stream.run.plan import RunPlan
from stream.run.schedule import Told
from stream.sinks.base import About


def about_of(told: Told, plan: RunPlan) -> About:
    """With what a run works, ready for JSON."""
    about: About = {
        "model": told.name,
        "provider": told.provider,
        "classes": list(told.names),
        "options": {**asdict(plan.model), **asdict(plan.tracking)},
    }
    start = plan.source.options.cut.start
    if start:
        about["start"] = start
    return about

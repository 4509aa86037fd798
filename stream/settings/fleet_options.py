"""The options of a fleet; a group like those of `stream.settings.options`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stream.settings.option import option

LEDGER = ".stream-fleet.sqlite"
"""The ledger's name in the output folder."""


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """Where the work is done, and what becomes of failures."""

    records: tuple[str, ...] | None = option(
        None,
        "Also write records beside each video: ndjson, csv, json, … May be given several times.",
        said="none",
        metavar="ENDING",
        many=True,
    )
    ray: str | None = option(
        None,
        "A Ray cluster, such as ray://head:10001; auto for the one of this machine; local for one "
        "that is started on it and ended with the fleet.",
        said="none: processes on this machine; local with --gpus or --memory",
        metavar="ADDRESS",
    )
    workers: int | None = option(
        None, "Workers at most.", said="as many as the machines take", low=1
    )
    cores: int = option(1, "Processor cores that a worker has.", low=1)
    gpus: float = option(0.0, "GPUs that a worker has, also in parts, such as 0.25.", low=0.0)
    memory: float | None = option(
        None, "GiB of memory that a worker asks for.", said="not asked for", low=0.1
    )
    retries: int = option(2, "So often a file that fails is tried again.", low=0)
    patience: float = option(
        30.0,
        "A worker of which nothing has come for so many minutes is stuck: it is ended, and its "
        "file done anew. Without any machine, or without any result that can be put in its place, "
        "for so long the fleet ends.",
        metavar="MINUTES",
        low=0.05,
    )
    part_minutes: float | None = option(
        None,
        "Cut longer files at key frames into parts of so many minutes at least, which workers do "
        "side by side; the result is the whole file's.",
        said="each file is one task",
        metavar="MINUTES",
        low=0.01,
    )
    below: str | None = option(
        None,
        "Results lie in the output as inputs lie below this folder: for lists of files from "
        "several folders, of which some have the same name.",
        said="the folder or pattern that was named; of a file by itself none",
        metavar="FOLDER",
        file=True,
    )
    resume: bool = option(
        False, "Go on where an earlier run stopped; refused where there was none."
    )
    status: bool = option(
        False, "Say how far it is, from the ledger alone, and end. Name the output as INPUT."
    )
    ledger: Path | None = option(
        None,
        "Where it is written down what became of each file.",
        said=f"{LEDGER} in the output folder; in the user's cache for object storage",
        metavar="FILE",
    )
    page: Path | None = option(
        None,
        "Also write a page with plots: throughput, slowest files, failures.",
        said="no page",
        metavar="FILE.html",
    )

    @property
    def needs_ray(self) -> bool:
        """Whether Ray shares out what workers need: of this machine's cores alone it need not."""
        return self.ray is not None or self.gpus > 0 or self.memory is not None

"""Plans from TOML: what `stream run booth.toml` reads, and `--save-config` (`saved_config`) wrote.

    [model]                      # [tracking], [live], [serve], [run]: groups of settings.options
    classes = ["person"]

    [[source]]                   # one or more
    target = "rtsp://user:secret@door/stream"
    name = "door"                # what {name} stands for; else made from the target
    transport = "udp"            # what may be asked of files, cameras and network sources

    [[output]]                   # of every source; [[source.output]] of that source alone
    to = "{name}.mp4"
    look = "binary"              # what is painted into it, and how it is written

Values are TOML's own, or texts as on the command line. Paths are those of the command line too:
relative to where the program runs, and `~` is the home folder.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from stream import sources
from stream.disk.twins import Twins
from stream.errors import ModelError, ProviderError, SourceError, UsageError
from stream.plans.document import Document
from stream.plans.tables import TABLES, home_of, with_keys
from stream.plans.toml_lines import (
    Place,
    at,
    line_of,
    not_toml,
    not_utf_8,
    place_in,
)
from stream.run.guard import refuse_beside_records
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.fleet_options import FleetOptions
from stream.settings.groups import build, changed, leaves
from stream.settings.likeness import nearest
from stream.settings.options import (
    CountOptions,
    InputOptions,
    LiveOptions,
    ModelOptions,
    OutputOptions,
    PictureOptions,
    RunOptions,
    TrackingOptions,
)
from stream.settings.serve_options import ServeOptions
from stream.types import TOML
from stream.wording.names import NAME, WINDOW, at_home, name_of, refuse_unknown_words


@dataclass(frozen=True, slots=True)
class _Output:
    """An output as the file has it, before it belongs to a source."""

    place: Place
    to: str
    picture: PictureOptions
    options: OutputOptions

    def plan(self, name: str) -> OutputPlan:
        return OutputPlan(self.to.replace(NAME, name), self.picture, self.options)


def load(path: Path) -> list[RunPlan]:
    """The plans of a configuration file, one for each source.

    Raises:
        UsageError: the file cannot be read, or says something that is not understood; one
            sentence with the line.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"the configuration {path} cannot be read: {reason}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(not_utf_8(str(path), data, error)) from error
    return loads(text, str(path))


def loads(text: str, name: str = "the configuration") -> list[RunPlan]:
    """The plans of a configuration's text.

    Args:
        text: TOML.
        name: of the file, for errors.

    Raises:
        UsageError: it says something that is not understood; one sentence with the line.
    """
    text = text.replace("\r\n", "\n")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(not_toml(name, text, error)) from error
    return _Reader(name, text, document).plans()


_ABOUT_VALUES = (UsageError, SourceError, ModelError, ProviderError)


@contextmanager
def with_lines(path: Path, flags: Collection[str] = ()) -> Iterator[None]:
    """Names the line of the value that an error is about, which nothing told before it was used.

    Args:
        path: the configuration that was loaded.
        flags: of the command line that may be given beside it, with dashes; others become keys.
    """
    try:
        yield
    except _ABOUT_VALUES as error:
        sentence = str(error)
        with suppress(OSError, ValueError):  # it was there when it was loaded
            text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
            place = place_in(tomllib.loads(text), sentence)
            if place is not None and not sentence.startswith(f"{path}, line "):
                line = line_of(text, place)
                error.args = (f"{path}, line {line}: {with_keys(sentence, flags)}",)
        raise


class _Reader(Document):
    """Goes through a document once and makes its plans."""

    def plans(self) -> list[RunPlan]:
        known = [*TABLES, "source", "output"]
        for key in self._document:
            if key not in known:
                if home := home_of(key.replace("-", "_")):
                    raise self._error((key,), f"{key} is in no table; it belongs to {home}")
                near = nearest(key, known)
                head = f"[[{near}]]" if near in ("source", "output") else f"[{near}]"
                hint = f"did you mean {head}?" if near else f"there are {', '.join(known)}"
                raise self._error((key,), f"there is no table {key!r}; {hint}")
        model = self._group("model", ModelOptions)
        tracking = self._group("tracking", TrackingOptions)
        live = self._group("live", LiveOptions)
        said = self._group("run", RunOptions)
        serve = self._group("serve", ServeOptions)
        counts = self._group("counts", CountOptions)
        fleet = self._group("fleet", FleetOptions) if "fleet" in self._document else None
        shared = [self._output(place, table) for place, table in self._tables(("output",))]
        plans: list[RunPlan] = []
        taken: Twins[bool] = Twins()
        reports: Twins[bool] = Twins()
        for place, table in self._tables(("source",)):
            source, name, own = self._source(place, table)
            outputs = [*shared, *own]
            for one in outputs:
                self._take(one, one.plan(name).target, taken)
            run = said
            if run.report is not None and NAME in str(run.report):
                report = _called(run.report, name)
                run = build(RunOptions, changed(run) | {"report": report})
                if reports.take(str(report), True):
                    raise self._error(
                        ("run", "report"),
                        f"two reports would be written to {report}; give each source a name of "
                        "its own",
                    )
            plans.append(
                RunPlan(
                    source,
                    tuple(one.plan(name) for one in outputs),
                    model,
                    tracking,
                    live,
                    run,
                    serve,
                    replace(counts, plot=_called(counts.plot, name)),
                    fleet,
                )
            )
        if not plans:
            raise UsageError(f"{self._name} has no [[source]]; it needs one with a target")
        if all(plan.source.options.replay.from_records is not None for plan in plans):
            self._refuse_beside_records()
        return plans

    def _refuse_beside_records(self) -> None:
        # Here it is known what was written down, also where its value holds anyway.
        for place in ((name, key) for name in ("model", "tracking") for key in self._keys(name)):
            try:
                refuse_beside_records({place[1].replace("-", "_"): at(self._document, place)})
            except UsageError as error:
                raise self._error(place, str(error)) from error

    def _keys(self, name: str) -> Collection[str]:
        table = self._document.get(name)
        return table if isinstance(table, dict) else ()

    def _take(self, output: _Output, target: str, taken: Twins[bool]) -> None:
        if target != WINDOW and taken.take(target, True):
            raise self._error(
                (*output.place, "to"),
                f"two results would be written to {target}; give each a name of its own, with "
                f"{NAME} for the name of its source where that differs",
            )

    def _source(
        self, place: Place, table: Mapping[str, TOML]
    ) -> tuple[SourcePlan, str, list[_Output]]:
        plain = ("target", "name", "output")
        given = self._values(place, table, leaves(InputOptions), plain)
        options = self._build(place, InputOptions, given)
        target = self._target(place, table)
        if isinstance(target, str):
            target = str(sources.meant(target, options))
        name = name_of(target)
        if "name" in table:
            name = self._text_of((*place, "name"), "name", table["name"])
        replay = replace(options.replay, from_records=_called(options.replay.from_records, name))
        options = replace(options, replay=replay)
        own = [self._output(one, inner) for one, inner in self._tables((*place, "output"))]
        # A name that stands for itself, as `saved_config` writes it, is none of its own.
        called = name if "name" in table and name != NAME else ""
        return SourcePlan(target, options, called), name, own

    def _target(self, place: Place, table: Mapping[str, TOML]) -> str | tuple[str, ...]:
        if "target" not in table:
            raise self._error(place, "this source has no target: a path, an address or a camera")
        target = table["target"]
        where = (*place, "target")
        if not isinstance(target, list):
            return at_home(self._text_of(where, "target", target))
        if not target:
            raise self._error(where, "target is an empty list")
        return tuple(at_home(self._text_of(where, "target", one)) for one in target)

    def _output(self, place: Place, table: Mapping[str, TOML]) -> _Output:
        known = leaves(PictureOptions) | leaves(OutputOptions)
        given = self._values(place, table, known, ("to",))
        if "to" not in table:
            raise self._error(place, "this output has no `to`: a file, an address or window")
        to = at_home(self._text_of((*place, "to"), "to", table["to"]))
        try:
            refuse_unknown_words(to)
        except UsageError as error:
            raise self._error((*place, "to"), f"to: {error}") from error
        picture = self._build(place, PictureOptions, given)
        return _Output(place, to, picture, self._build(place, OutputOptions, given))


def _called(path: Path | None, name: str) -> Path | None:
    """A path, with `{name}` in it written out."""
    return None if path is None else Path(str(path).replace(NAME, name))

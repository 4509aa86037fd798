"""Records as a table in columns: for pandas, Polars, DuckDB, Spark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from stream.frame import Frame, VideoInfo
from stream.objects.instance import Instance
from stream.settings.options import OutputOptions
from stream.sinks._records import Records, as_json
from stream.sinks._shapes import flat
from stream.sinks.table import FILE
from stream.system.extras import need_extra
from stream.types import JSON

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP = 4096
"""Rows that wait until they are written together: some megabytes with run lengths."""


class ParquetSink(Records):
    """Writes Parquet: a row for each object and frame, in row groups as they fill.

    Columns are those of the table in comma-separated values, with `pts`, the picture's height and
    width, which each has its own of where they are pictures, and the mask. The file is
    whole once the run has ended, by Ctrl-C too; `.ndjson` is at any time.
    """

    endings: ClassVar[tuple[str, ...]] = (".parquet",)
    sized: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    mask_forms: ClassVar[tuple[str, ...]] = ("polygon",)

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Refuses what cannot be written, and where the library is not there."""
        need_extra("parquet", "pyarrow", what="writing .parquet")
        super().check(target, options, inputs)

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        overwrite: bool = False,
        masks: str = "rle",
    ) -> None:
        """Creates the file; see `Records`."""
        super().__init__(path, info, overwrite=overwrite, masks=masks)
        self._rows: list[dict[str, object]] = []
        self._writer: _Writer | None = None

    def put(self, frame: Frame) -> None:
        """Takes the rows of a frame; a full group is written."""
        self._rows += [self._row(frame, one) for one in frame.instances or ()]
        if len(self._rows) >= _GROUP:
            self._flush()

    def finish(self) -> None:
        """Writes what waits, and the file's end."""
        self._flush()
        if self._writer is not None:
            with self._told():
                self._writer.close()
                self._destination.checkpoint()

    def abort(self) -> None:
        """Lets go at once; what was written can be read."""
        if not self._done and self.frames:
            self.finish()
        super().abort()

    def text(self, frame: Frame) -> str:
        """Nothing: rows are no text."""
        return ""

    def _flush(self) -> None:
        with self._told():
            if self._writer is None:
                self._writer = _Writer(self._destination, self._schema())
            if self._rows:
                self._writer.write(self._rows)
        self._rows = []

    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        columns: list[tuple[str, pa.DataType]] = [
            ("frame", pa.int64()),
            ("time", pa.float64()),
            ("pts", pa.int64()),
            ("track", pa.int64()),
            ("class", pa.string()),
            ("score", pa.float32()),
            *((side, pa.float32()) for side in ("x1", "y1", "x2", "y2")),
            ("area", pa.int64()),
            ("centroid_x", pa.float64()),
            ("centroid_y", pa.float64()),
            ("height", pa.int32()),
            ("width", pa.int32()),
        ]
        if self.info.pictures:
            columns.append((FILE, pa.string()))
        if self.masks == "polygon":
            columns.append(("polygons", pa.list_(pa.list_(pa.float32()))))
        elif self.masks != "none":
            columns.append(("mask", pa.string()))
        about: dict[str, JSON] = {
            "source": self.info.name,
            "size": [self.info.height, self.info.width],
            "time_base": str(self.info.time_base),
        }
        return pa.schema(columns, {"stream": as_json(about | dict(self.about))})

    def _row(self, frame: Frame, one: Instance) -> dict[str, object]:
        counts: str | None = None
        if self.masks in ("none", "polygon"):
            area, centre = one.measures()
        else:
            area, centre, mask = one.shape()
            counts = mask["counts"]
        x, y = centre or (None, None)
        row: dict[str, object] = {
            "frame": frame.index,
            "time": frame.pts_seconds,
            "pts": frame.pts,
            "track": one.track_id,
            "class": one.name,
            "score": one.score,
            **dict(zip(("x1", "y1", "x2", "y2"), one.box.tolist(), strict=True)),
            "area": area,
            "centroid_x": x,
            "centroid_y": y,
            "height": frame.image.height,
            "width": frame.image.width,
        }
        if self.info.pictures:
            row[FILE] = self.picture_name(frame)
        if self.masks == "polygon":
            row["polygons"] = flat(one.polygons(1.0))
        elif self.masks != "none":
            row["mask"] = counts
        return row


class _Writer:
    """pyarrow's writer over a destination of ours."""

    def __init__(self, destination: object, schema: pa.Schema) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._schema = schema
        self._table = pa.Table
        self._file = pa.PythonFile(_File(destination), mode="w")
        self._writer = parquet.ParquetWriter(self._file, schema, compression="zstd")

    def write(self, rows: list[dict[str, object]]) -> None:
        self._writer.write_table(self._table.from_pylist(rows, self._schema))

    def close(self) -> None:
        self._writer.close()


class _File:
    """What pyarrow asks of a file that is written."""

    closed = False

    def __init__(self, destination: object) -> None:
        self._destination = destination
        self.write = destination.write  # type: ignore[attr-defined]
        self.tell = destination.tell  # type: ignore[attr-defined]

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """The sink closes it."""

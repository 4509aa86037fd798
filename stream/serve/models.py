"""The models that the page offers, each loaded once for all rooms."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stream.errors import UsageError
from stream.run.finding import load_segmenter
from stream.settings.options import ModelOptions

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter


class Models:
    """Loads models when they are first asked for, and keeps them.

    Args:
        options: the first model, and how all are loaded.
        others: the names or files of further ones; only these may be asked for.
        first: the first model, loaded already.
        yields: see `load_segmenter`.
    """

    def __init__(
        self,
        options: ModelOptions,
        others: Sequence[str] = (),
        first: Segmenter | None = None,
        *,
        yields: bool = False,
    ) -> None:
        self._options = options
        self._yields = yields
        self.names = list(dict.fromkeys((options.model, *others)))
        self._lock = threading.Lock()
        self._loaded: dict[str, Segmenter] = {} if first is None else {options.model: first}

    def get(self, name: str) -> Segmenter:
        """The model of that name, with thresholds and classes that are its user's own.

        Raises:
            UsageError: the page does not offer it.
            StreamError: it cannot be loaded.
        """
        if name not in self.names:
            raise UsageError("there is no such model here")
        with self._lock:
            if name not in self._loaded:
                first = name == self._options.model
                # Another model has other classes, and its own idea of a good threshold.
                own = replace(self._options, model=name)
                own = own if first else replace(own, threshold=None, classes=None)
                self._loaded[name] = load_segmenter(own, live=True, yields=self._yields)
            return self._loaded[name].sharing()

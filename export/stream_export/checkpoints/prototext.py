"""Protocol Buffers' text format, as far as `pipeline.config` files use it.

Fields (`name: value`) and messages (`name { ... }`, `name: < ... >`), lists in brackets, comments
(protobuf.dev/reference/protobuf/textformat-spec). No schema is known, so every field is a list of
what was given, numbers stay numbers and words stay words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stream.errors import ModelError, UsageError

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>[A-Za-z_][\w./-]*)
    |(?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fF]?))
    |(?P<sign>[{}<>\[\]:;,])""",
    re.VERBOSE,
)
_DEEPEST = 64
_WORDS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}
_CLOSING = {"{": "}", "<": ">"}


class Message:
    """A message of the text format, asked by dotted names."""

    def __init__(self, fields: dict[str, list[Any]], source: str) -> None:
        """Takes all values of each field; `source` is named in errors."""
        self.fields = fields
        self.source = source

    def message(self, path: str) -> Message | None:
        """The last message under a dotted name, or None."""
        found: Message | None = self
        for name in path.split("."):
            values = found.fields.get(name, []) if found is not None else []
            found = next((value for value in reversed(values) if isinstance(value, Message)), None)
        return found

    def values(self, path: str) -> list[Any]:
        """All values of the field under a dotted name."""
        *parents, name = path.split(".")
        owner = self.message(".".join(parents)) if parents else self
        return owner.fields.get(name, []) if owner is not None else []

    def number(self, path: str, default: float) -> float:
        """The number under a dotted name, or the default.

        Raises:
            UsageError: it is something else.
        """
        return self.numbers(path, (default,))[-1]

    def numbers(self, path: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """All numbers under a dotted name, or the default.

        Raises:
            UsageError: one is something else.
        """
        found = self.values(path)
        for value in found:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UsageError(f"{self.source}: {path} is not a number")
        return tuple(found) or default

    def flag(self, path: str, default: bool) -> bool:
        """The truth value under a dotted name, or the default."""
        found = self.values(path)
        return bool(found[-1]) if found else default

    def word(self, path: str) -> str | None:
        """The text or word under a dotted name, or None."""
        found = [value for value in self.values(path) if isinstance(value, str)]
        return found[-1] if found else None


def read_prototext(path: Path) -> Message:
    """Reads a file in the text format.

    Raises:
        ModelError: the file cannot be read.
        UsageError: it is not in the text format.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: the configuration cannot be read ({error})") from error
    return parse_prototext(text, str(path))


def parse_prototext(text: str, source: str) -> Message:
    """Reads the text format; `source` is named in errors.

    Raises:
        UsageError: it is something else.
    """
    tokens = _Tokens(text, source)
    message = _message(tokens, None, 0)
    return message


class _Tokens:
    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.at = 0

    def next(self) -> tuple[str, str]:
        """Kind and text of the next token; both empty at the end."""
        while self.at < len(self.text):
            match = _TOKEN.match(self.text, self.at)
            if match is None:
                raise self.wrong()
            self.at = match.end()
            if match.lastgroup is not None:
                return match.lastgroup, match[match.lastgroup]
        return "", ""

    def peek(self) -> str:
        at = self.at
        token = self.next()[1]
        self.at = at
        return token

    def wrong(self) -> UsageError:
        line = self.text.count("\n", 0, self.at) + 1
        return UsageError(f"{self.source}: line {line} is not in protobuf's text format")


def _message(tokens: _Tokens, closing: str | None, depth: int) -> Message:
    fields: dict[str, list[Any]] = {}
    if depth > _DEEPEST:
        raise tokens.wrong()
    while True:
        kind, token = tokens.next()
        if token in (";", ","):
            continue
        if token == (closing or ""):
            return Message(fields, tokens.source)
        if kind != "word":
            raise tokens.wrong()
        values = fields.setdefault(token, [])
        following = tokens.peek()
        if following == ":":
            tokens.next()
            following = tokens.peek()
        elif following not in _CLOSING:
            raise tokens.wrong()
        if following != "[":
            values.append(_value(tokens, depth))
            continue
        tokens.next()
        while tokens.peek() != "]":
            values.append(_value(tokens, depth))
            if tokens.peek() == ",":
                tokens.next()
        tokens.next()


def _value(tokens: _Tokens, depth: int) -> Any:
    kind, token = tokens.next()
    if token in _CLOSING and kind == "sign":
        return _message(tokens, _CLOSING[token], depth + 1)
    if kind == "text":
        return token[1:-1]
    if kind == "word":
        return _WORDS.get(token, token)
    if kind == "number":
        if token.lower().startswith(("0x", "-0x", "+0x")):
            return int(token, 16)
        bare = token.rstrip("fF")
        return int(bare) if bare.lstrip("+-").isdigit() else float(bare)
    raise tokens.wrong()

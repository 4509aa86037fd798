"""Matterport's configuration: a Python class, what `Config.display` prints, or NAME=VALUE.

A configuration written in Python is read, not run: its assignments are looked at, whatever class
they stand in, and values are worked out where they are numbers, texts and lists.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from stream.errors import ModelError, UsageError
from stream_export.checkpoints.settings import Setting
from stream_export.converters.matterport.form import MatterportConfig
from stream_export.options import unknown_setting

# mrcnn/config.py's names of what the weights cannot tell.
SETTINGS = {
    "IMAGE_MIN_DIM": "shortest",
    "IMAGE_MAX_DIM": "longest",
    "IMAGE_MIN_SCALE": "smallest_scale",
    "MEAN_PIXEL": "mean",
    "BACKBONE_STRIDES": "strides",
    "RPN_ANCHOR_SCALES": "anchor_sizes",
    "RPN_ANCHOR_RATIOS": "ratios",
    "PRE_NMS_LIMIT": "proposals_before",
    "POST_NMS_ROIS_INFERENCE": "proposals_after",
    "RPN_NMS_THRESHOLD": "proposal_iou",
    "RPN_BBOX_STD_DEV": "proposal_deviation",
    "BBOX_STD_DEV": "box_deviation",
    "MASK_POOL_SIZE": "mask_pool",
    "DETECTION_MIN_CONFIDENCE": "score",
    "DETECTION_NMS_THRESHOLD": "iou",
    "DETECTION_MAX_INSTANCES": "detections",
    "NUM_CLASSES": "classes",
}
_FIXED = {"IMAGE_RESIZE_MODE": "square", "RPN_ANCHOR_STRIDE": 1, "IMAGE_CHANNEL_COUNT": 3}
_NAMES = {*SETTINGS, *_FIXED}
_LONGEST = 1_000_000

_OPERATORS: dict[type[ast.operator], Callable[[Setting, Setting], Setting]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


class _Unknown(Exception):  # noqa: N818 - it never leaves this module
    """A value that only running the file would tell."""


def settings_for(config: str | None, assignments: Iterable[str] = ()) -> dict[str, Setting]:
    """What `--config` and `--set` say, by the names of `MatterportConfig`'s attributes.

    Args:
        config: `NAME=VALUE` with mrcnn/config.py's names, several separated by spaces; or a text
            file that has `NAME = VALUE` or, as `Config.display` prints it, `NAME VALUE` by line; or
            a configuration in Python, in which `self.NAME = VALUE`, `config.NAME = VALUE` and
            `NAME: int = VALUE` are assignments too.
        assignments: `NAME=VALUE` each, with the last word.

    Raises:
        ModelError: the file cannot be read.
        UsageError: nothing is found, a value makes no sense, or a setting is not supported.
    """
    found: dict[str, Setting] = {}
    if config is not None:
        found |= _from_file(Path(config)) if _is_file(config) else _from_words(config)
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text!r}: write NAME=VALUE, such as IMAGE_MAX_DIM=512")
        if name.strip() not in _NAMES:
            raise unknown_setting(name.strip(), SETTINGS)
        found[name.strip()] = _value(name.strip(), value.strip())
    return _checked(found)


def _is_file(config: str) -> bool:
    try:
        return Path(config).is_file()
    except (OSError, ValueError):
        return False


def _from_words(config: str) -> dict[str, Setting]:
    found = {}
    for line in re.sub(r"\s+(?=[A-Z_]+\s*=)", "\n", config).splitlines():
        name, equals, value = line.partition("=")
        if not equals or name.strip() not in _NAMES:
            raise UsageError(
                f"--config {config[:60]}: it is neither a file nor a setting such as "
                f"IMAGE_MAX_DIM=512; known are {', '.join(SETTINGS)}"
            )
        found[name.strip()] = _value(name.strip(), value.strip())
    return found


def _from_file(path: Path) -> dict[str, Setting]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the configuration cannot be read ({error})") from error
    if len(text) > _LONGEST:
        raise UsageError(f"{path}: it is too long for a configuration")
    try:
        found = dict(_from_python(ast.parse(text), path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = {}
    # `NAME: 512` is Python too, and assigns nothing.
    found = found or dict(_from_lines(text))
    if not found:
        raise UsageError(
            f"{path}: none of its lines sets anything that this converter knows; known are "
            f"{', '.join(SETTINGS)}"
        )
    return found


def _from_python(tree: ast.Module, path: Path) -> Iterator[tuple[str, Setting]]:
    known: dict[str, Setting] = {}
    nodes = [one for one in ast.walk(tree) if isinstance(one, ast.Assign | ast.AnnAssign)]
    for node in sorted(nodes, key=lambda one: one.lineno):
        if node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for name, given in _pairs(target, node.value):
                try:
                    known[name] = _evaluated(given, known)
                except (_Unknown, ArithmeticError, TypeError, ValueError):
                    known.pop(name, None)
                    # What counts a list of names; the weights tell too.
                    if name in _NAMES - {"NUM_CLASSES"}:
                        raise UsageError(
                            f"{path}: line {node.lineno}: the value of {name} cannot be read "
                            f"without running the file; give it with --set {name}=VALUE instead"
                        ) from None
                    continue
                if name in _NAMES:
                    yield name, known[name]


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Attribute):
        yield target.attr, value
    elif (
        isinstance(target, ast.Tuple | ast.List)
        and isinstance(value, ast.Tuple | ast.List)
        and len(target.elts) == len(value.elts)
    ):
        for one, given in zip(target.elts, value.elts, strict=True):
            yield from _pairs(one, given)


def _evaluated(node: ast.expr, known: dict[str, Setting]) -> Setting:
    """A value of numbers, texts, lists, simple sums and names that were set before."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Tuple | ast.List):
        return [_evaluated(one, known) for one in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_evaluated(node.operand, known)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _evaluated(node.left, known), _evaluated(node.right, known)
        if not all(isinstance(one, int | float) for one in (left, right)):
            raise _Unknown
        return _OPERATORS[type(node.op)](left, right)
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)
    if isinstance(node, ast.Name | ast.Attribute) and name in known:
        return known[name]
    if (
        isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("array", "tuple", "list")
        and len(node.args) == 1
    ):
        return _evaluated(node.args[0], known)
    raise _Unknown


def _from_lines(text: str) -> Iterator[tuple[str, Setting]]:
    for line in text.splitlines():
        match = re.fullmatch(
            r"\s*(?:[a-z_]\w*\.)?([A-Z][A-Z_]+)\s*(?::\s*\w+\s*=\s*|[=:]\s*|\s)(.+?)\s*(?:#.*)?",
            line,
        )
        if match is not None and match[1] in _NAMES:
            yield match[1], _value(match[1], match[2])


def _value(name: str, text: str) -> Setting:
    """A number, text or list; NumPy's spelling of arrays is understood too."""
    inner = re.sub(r"^np\.array\((.*)\)$", r"\1", text)
    if re.fullmatch(r"\[[\d.\s-]+\]", inner) and "," not in inner:
        parts = inner.strip("[]").split()
        try:
            return [float(part) for part in parts]
        except ValueError:
            raise UsageError(f"{name} is {text!r}, which makes no sense") from None
    try:
        return ast.literal_eval(inner)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return inner


def classes_in(config: str | None) -> tuple[str, ...]:
    """The classes that a configuration in Python adds to its data set, 1 being the first.

    Returns:
        Their names in the order of their numbers; empty where there are none, or a number lacks.
    """
    if config is None or not _is_file(config):
        return ()
    try:
        tree = ast.parse(Path(config).read_text(encoding="utf-8-sig"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found: dict[int, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_class":
            told = [one.value for one in node.args if isinstance(one, ast.Constant)]
            match told:
                case [str(), int(number), str(name)]:
                    if found.setdefault(number, name) != name:
                        return ()
                case _:
                    return ()
    numbers = range(1, len(found) + 1)
    return tuple(found[one] for one in numbers) if set(found) == set(numbers) else ()


def _checked(given: dict[str, Setting]) -> dict[str, Setting]:
    for name, wanted in _FIXED.items():
        if name in given and given[name] != wanted:
            raise UsageError(f"{name} is {given[name]}; only {wanted} is supported")
    return {
        SETTINGS[name]: _converted(name, value) for name, value in given.items() if name in SETTINGS
    }


def _converted(name: str, value: Setting) -> Setting:
    default = getattr(MatterportConfig(), SETTINGS[name])
    several = isinstance(default, tuple)
    values = value if isinstance(value, list | tuple) else [value]
    # "0" and "None" both leave the scale alone.
    values = [0 if entry is None else entry for entry in values]
    kind = type(default[0] if several else default)
    right = all(isinstance(entry, int | float) and 0 <= entry <= 1e9 for entry in values)
    if not right or (not several and len(values) != 1) or not values:
        raise UsageError(f"{name} is {value!r}, which makes no sense")
    whole = kind is int and any(entry != int(entry) for entry in values)
    least = 0 if name in ("IMAGE_MIN_SCALE", "MEAN_PIXEL", "IMAGE_MIN_DIM") else 1e-9
    share = name in ("DETECTION_MIN_CONFIDENCE", "DETECTION_NMS_THRESHOLD", "RPN_NMS_THRESHOLD")
    if whole or (not share and min(values) < least) or (share and max(values) > 1):
        raise UsageError(f"{name} is {value!r}, which makes no sense")
    fixed = {"MEAN_PIXEL": 3, "RPN_BBOX_STD_DEV": 4, "BBOX_STD_DEV": 4}
    if len(values) != fixed.get(name, len(values)):
        raise UsageError(f"{name} has {len(values)} numbers, {fixed[name]} are needed")
    return tuple(kind(entry) for entry in values) if several else kind(values[0])

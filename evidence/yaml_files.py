"""Reading the YAML that people write: errors name file, line, field, cause and the nearest name.

YAML is read with PyYAML's safe loader; the composed nodes give the line of every field.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from evidence.errors import DataError

Model = TypeVar("Model", bound=BaseModel)

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(file: Path) -> Any:
    """Return the content of a YAML file. Raises DataError when it is not YAML."""
    try:
        loader = _Loader(file.read_bytes())
        try:
            node = loader.get_single_node()
            _refuse_names_twice(file, node)
            return None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise DataError(
            f"not valid YAML: {problem}",
            where=f"{file}{line}",
            mend="Check indentation, quotes and colons on that line.",
        ) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(file)) from error


def _refuse_names_twice(file: Path, node: Any) -> None:
    """YAML readers keep the last of two fields with one name; the first would be dead text."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                raise DataError(
                    f"the field {key.value!r} is there twice",
                    where=f"{file}:{key.start_mark.line + 1}: {key.value}",
                    mend="Remove one of the two, or give it another name.",
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
            _refuse_names_twice(file, value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_names_twice(file, item)


def load_model(file: Path, model: type[Model]) -> Model:
    """Read a YAML file into a pydantic model. Raises DataError that names the field and line."""
    value = load_yaml(file)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _explained(file, model, error) from error


def _explained(file: Path, model: type[BaseModel], error: ValidationError) -> DataError:
    errors = error.errors(include_url=False)
    # A misspelt field is a missing one as well: what is written there is what can be mended.
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    composed = [part for part in first["loc"] if not _is_branch(part)]
    path = _as_written(file, composed)
    field = ".".join(str(part) for part in path) or "(the whole file)"
    message = first["msg"].removeprefix("Value error, ")
    mend = "Correct the field; CONTRIBUTING.md shows the format."
    if first["type"] == "extra_forbidden":
        message = f"there is no field {path[-1]!r} here"
        near = difflib.get_close_matches(str(path[-1]), _fields_at(model, composed[:-1]), 1)
        mend = f"Did you mean {near[0]!r}?" if near else mend
    elif first["type"] == "missing":
        message = f"the field {path[-1]!r} is missing"
    more = len(errors) - 1
    if more:
        message += f" (and {more} more in this file)"
    line = line_of(file, path)
    return DataError(message, where=f"{file}:{line}: {field}", mend=mend)


def _is_branch(part: Any) -> bool:
    return isinstance(part, str) and ("[" in part or part.startswith("function-"))


def _fields_at(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    """Return the field names of the model that lies at `path`, as far as it can be followed."""
    current: Any = model
    for part in path:
        if isinstance(part, int) or not _is_model(current):
            continue
        field = _fields_by_name(current).get(part)
        current = _model_inside(field.annotation) if field is not None else current
    return list(_fields_by_name(current if _is_model(current) else model))


def _fields_by_name(model: Any) -> dict[str, Any]:
    """Return the fields of a model by the names that people write."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _as_written(file: Path, path: Sequence[Any]) -> list[Any]:
    """Leave out of `path` the steps that a model puts in and that nobody writes in the file."""
    node, written = _composed(file, file.stat().st_mtime), []
    for index, part in enumerate(path):
        found = _child(node, part)
        if found is None and index < len(path) - 1 and _child(node, path[index + 1]):
            continue
        written.append(part)
        node = found[1] if found is not None else None
    return written


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _model_inside(annotation: Any) -> Any:
    if _is_model(annotation):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_inside(inner)
        if _is_model(found):
            return found
    return None


@cache
def _composed(file: Path, _changed: float) -> Any:
    return yaml.compose(file.read_bytes(), Loader=_Loader)


def line_of(file: Path, path: Sequence[Any]) -> int:
    """Return the line (from 1) of the field at `path` in a YAML file, or of its nearest parent."""
    node = _composed(file, file.stat().st_mtime)
    line = 1
    for part in path:
        found = _child(node, part)
        if found is None:
            break
        line, node = found
    return line


def _child(node: Any, part: Any) -> tuple[int, Any] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if str(key.value) == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and str(part).isdigit() and int(part) < len(node.value):
        child = node.value[int(part)]
        return child.start_mark.line + 1, child
    return None

"""IAM-style policy documents, made uniform: every list explicit, every principal named.

Source: IAM User Guide, "IAM JSON policy elements reference".
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from evidence.storable import storable


class PolicyFormatError(ValueError):
    """A policy document is not a policy document."""


def policy_statements(document: Any) -> list[dict[str, Any]]:
    """Return the statements of a policy document as rows of `evidence.schema.POLICY_STATEMENT`.

    `document` is JSON text (URL-encoded or not) or the parsed document. Raises PolicyFormatError.
    """
    if isinstance(document, str):
        document = _parse(document)
    if not isinstance(document, dict):
        raise PolicyFormatError("a policy document is a JSON object")
    statements = document.get("Statement", [])
    return [_statement(statement) for statement in _as_list(statements)]


def _parse(text: str) -> Any:
    candidate = text if text.lstrip().startswith("{") else unquote(text)
    try:
        return storable(json.loads(candidate))
    except (ValueError, RecursionError) as error:
        raise PolicyFormatError(f"a policy document is not JSON: {error}") from error


def _statement(statement: Any) -> dict[str, Any]:
    if not isinstance(statement, dict):
        raise PolicyFormatError("a policy statement is a JSON object")
    return {
        "sid": _text(statement.get("Sid", "")),
        "effect": _text(statement.get("Effect", "")),
        "principals": _principals(statement.get("Principal")),
        "not_principals": _principals(statement.get("NotPrincipal")),
        "actions": [action.lower() for action in _texts(statement.get("Action"))],
        "not_actions": [action.lower() for action in _texts(statement.get("NotAction"))],
        "resources": _texts(statement.get("Resource")),
        "not_resources": _texts(statement.get("NotResource")),
        "conditions": _conditions(statement.get("Condition")),
    }


def _principals(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, dict):
        return [f"{kind}:{name}" for kind, names in value.items() for name in _texts(names)]
    return [name if name == "*" else f"AWS:{name}" for name in _texts(value)]


def _conditions(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, dict):
        raise PolicyFormatError("a policy condition is a JSON object")
    found = []
    for operator, keys in value.items():
        if not isinstance(keys, dict):
            raise PolicyFormatError("a condition operator holds a JSON object")
        for key, values in keys.items():
            found.append(
                {"operator": operator.lower(), "key": key.lower(), "values": _texts(values)}
            )
    return found


def _texts(value: Any) -> list[str]:
    return [] if value is None else [_text(item) for item in _as_list(value)]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise PolicyFormatError(f"a policy holds {type(value).__name__} where text belongs")

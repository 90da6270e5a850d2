"""The IAM credential report: ask for it, wait until it is ready, read its CSV.

Source: IAM API Reference, GenerateCredentialReport and GetCredentialReport.
"""

from __future__ import annotations

import base64
import csv
import io
from typing import Any

from collectors.answers import Answer, Handled
from collectors.aws.caller import Caller
from collectors.aws.spec import Call
from evidence.outcome import Outcome

_ROUNDS = 30
_PAUSE = 1.0
_NOTHING = ("N/A", "no_information", "not_supported", "")
_WORDS = {"true": True, "false": False}


def collect(caller: Caller, region: str) -> Handled:
    """Return one item a line of the report; times stay text, "N/A" becomes None.

    Where making a new report is refused, or takes too long, the one that AWS has is read: the
    report says itself when it was made.
    """
    answers = _make(caller, region)
    report = caller.ask(Call(operation="get_credential_report"), "iam", region, {})
    answers.append(report)
    if report.outcome is not Outcome.OK:
        return Handled([], answers)
    text = base64.b64decode(report.data["Content"]).decode()
    return Handled([_item(line) for line in csv.DictReader(io.StringIO(text))], answers)


def _make(caller: Caller, region: str) -> list[Answer]:
    """Ask for a new report until it is ready, refused, or the patience is used up."""
    generate = Call(operation="generate_credential_report")
    answers: list[Answer] = []
    for _ in range(_ROUNDS):
        answer = caller.ask(generate, "iam", region, {})
        answers.append(answer)
        if answer.outcome is not Outcome.OK or answer.data.get("State") == "COMPLETE":
            break
        caller.pause(_PAUSE)
    return answers


def _item(line: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(text) for name, text in line.items()}


def _value(text: str | None) -> Any:
    if text is None or text in _NOTHING:
        return None
    return _WORDS.get(text.lower(), text)

"""The IAM credential report: ask for it, wait until it is ready, read its CSV.

Source: IAM API Reference, GenerateCredentialReport and GetCredentialReport.
"""

from __future__ import annotations

import base64
import csv
import io
import time
from typing import Any

from collectors.aws.caller import Answer, Caller
from collectors.aws.handlers import Handled
from collectors.aws.spec import Call
from evidence.outcome import Outcome

_LONGEST_WAIT = 60.0
_PAUSE = 1.0
_NOTHING = ("N/A", "no_information", "not_supported", "")
_WORDS = {"true": True, "false": False}


def collect(caller: Caller, region: str) -> Handled:
    """Return one item a line of the report; times stay text, "N/A" becomes None."""
    answers = []
    generate = Call(operation="generate_credential_report")
    waited = 0.0
    while True:
        answer = caller.ask(generate, "iam", region, {})
        answers.append(answer)
        if answer.outcome is not Outcome.OK:
            return Handled([], answers)
        if answer.data.get("State") == "COMPLETE":
            break
        if waited >= _LONGEST_WAIT:
            late = Answer(answer.operation, Outcome.ERROR, None, "the report was not ready in 60 s")
            return Handled([], [*answers, late])
        time.sleep(_PAUSE)
        waited += _PAUSE
    report = caller.ask(Call(operation="get_credential_report"), "iam", region, {})
    answers.append(report)
    if report.outcome is not Outcome.OK:
        return Handled([], answers)
    text = base64.b64decode(report.data["Content"]).decode()
    return Handled([_item(line) for line in csv.DictReader(io.StringIO(text))], answers)


def _item(line: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(text) for name, text in line.items()}


def _value(text: str | None) -> Any:
    if text is None or text in _NOTHING:
        return None
    return _WORDS.get(text.lower(), text)

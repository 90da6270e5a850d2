"""The forms that secrets have, compiled: those of `secret_forms.yaml` and some of `detect-secrets`.

Looking for the anchors of all forms costs about a tenth of what looking for the patterns costs, so
callers do that first (`Form.may_match`).
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from evidence.yaml_files import load_model

FORMS_FILE = Path(__file__).with_name("secret_forms.yaml")

_DETECTORS = {
    "cloudant.CloudantDetector": "cloudant",
    "ibm_cloud_iam.IbmCloudIamDetector": "ibm",
    "ibm_cos_hmac.IbmCosHmacDetector": "cos_",
    "npm.NpmDetector": "_authToken",
    "softlayer.SoftlayerDetector": "softlayer",
}
"""Detectors of `detect-secrets` whose patterns do not mistake ARNs, hashes and ids for secrets, and
that know what `secret_forms.yaml` does not; with the anchor of each."""

_TOKEN_DETECTORS = {
    "discord.DiscordBotTokenDetector": "",
    "sendgrid.SendGridDetector": "SG.",
}
"""Those of them whose secrets are one word."""

Judged = Literal["", "password", "pair"]


@dataclass(frozen=True)
class Form:
    """A form of secrets; see the head of `secret_forms.yaml`. No anchors: it may be in any text."""

    name: str
    anchors: tuple[str, ...]
    pattern: re.Pattern[str]
    judged: Judged = ""

    def may_match(self, text: str) -> bool:
        """Whether an anchor is in `text`: without one the pattern cannot match."""
        for anchor in self.anchors:  # a loop, because this runs a million times
            if anchor in text:
                return True
        return not self.anchors


class _FormModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    anchors: tuple[str, ...]
    pattern: str
    judged: Judged = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        if re.compile(value).groups > 1:
            raise ValueError("a pattern has one group at most: the secret")
        return value


class _FormsModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: tuple[_FormModel, ...]
    forms: tuple[_FormModel, ...]


@functools.cache
def _own() -> _FormsModel:
    return load_model(FORMS_FILE, _FormsModel)


@functools.cache
def tokens() -> tuple[Form, ...]:
    """Return the forms that are one long word. Raises DataError when the file is wrong."""
    return (*map(_compiled, _own().tokens), *_borrowed(_TOKEN_DETECTORS))


@functools.cache
def wider_forms() -> tuple[Form, ...]:
    """Return the forms that are not. Raises DataError when the file is wrong."""
    return (*map(_compiled, _own().forms), *_borrowed(_DETECTORS))


def _compiled(item: _FormModel) -> Form:
    return Form(item.name, item.anchors, re.compile(item.pattern), item.judged)


def _borrowed(detectors: Mapping[str, str]) -> list[Form]:
    found: list[Form] = []
    for detector, anchor in detectors.items():
        module, name = detector.split(".")
        plugin = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)
        anchors = (anchor,) if anchor else ()
        found.extend(Form(plugin.secret_type, anchors, pattern) for pattern in plugin.denylist)
    return found

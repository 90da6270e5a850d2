"""Redaction: secrets are taken out of what a cloud answered before the first byte is written.

Two ways: paths that a resource type declares (`Functions[].Environment.Variables.*`), and secrets
recognised by form, with the patterns of the `detect-secrets` library. A redacted value becomes
`[redacted DIGEST]`; the digest is keyed (HMAC-SHA256), so that equal secrets stay recognisably
equal while a guess cannot be tested without the key.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.capture import Redaction

_DETECTORS = (
    "azure_storage_key.AzureStorageKeyDetector",
    "basic_auth.BasicAuthDetector",
    "cloudant.CloudantDetector",
    "discord.DiscordBotTokenDetector",
    "github_token.GitHubTokenDetector",
    "gitlab_token.GitLabTokenDetector",
    "ibm_cloud_iam.IbmCloudIamDetector",
    "ibm_cos_hmac.IbmCosHmacDetector",
    "jwt.JwtTokenDetector",
    "npm.NpmDetector",
    "openai.OpenAIDetector",
    "pypi_token.PypiTokenDetector",
    "sendgrid.SendGridDetector",
    "slack.SlackDetector",
    "softlayer.SoftlayerDetector",
    "square_oauth.SquareOAuthDetector",
    "stripe.StripeDetector",
)
"""Detectors whose patterns do not mistake ARNs, hashes and ids for secrets; no others."""

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_AWS_SECRET_KEY = re.compile(
    r"(?i)aws.{0,20}?(?:key|pwd|pw|password|pass|token).{0,20}?"
    r"['\"=: ]([0-9a-zA-Z/+]{40})(?![\w/+])"
)
_ASSIGNMENT = re.compile(
    r"(?i)(?:password|passwd|pwd|secret[_-]?key|api[_-]?key|access[_-]?token|auth[_-]?token)"
    r"[\"']?(?:\s*=\s*|:\s+|\":\s*\")[\"']?([^\s\"',;&$<>{}\[\]]{6,})"
)

Step = str
"""One step of a declared path: a key, `[]` for every element, `*` for every value."""


def parse_path(path: str) -> tuple[Step, ...]:
    """Split `A[].B.*` into its steps. Raises ValueError when a step is empty."""
    steps: list[Step] = []
    for part in path.split("."):
        name = part.removesuffix("[]")
        if not name and not part.endswith("[]"):
            raise ValueError(f"an empty step in the path {path!r}")
        if name:
            steps.append(name)
        if part.endswith("[]"):
            steps.append("[]")
    return tuple(steps)


@dataclass(frozen=True)
class Redactor:
    """Redacts parsed answers. `declared` maps an operation to the paths to take out of it."""

    key: bytes
    declared: Mapping[str, Sequence[tuple[Step, ...]]]

    def redact(self, operation: str, value: Any) -> tuple[Any, list[Redaction]]:
        """Return `value` without its secrets, and what was taken out.

        `value` itself is returned, unchanged, when there was nothing to take out.
        """
        found: list[Redaction] = []
        for steps in self.declared.get(operation, ()):
            value = self._declared(value, steps, "", found)
        if _may_hold_a_secret("\n".join(_leaves(value))):
            value = self._detected(value, "", found)
        return value, found

    def redact_text(self, text: str, path: str = "") -> tuple[str, list[Redaction]]:
        """Return `text` without the secrets that are recognised by their form."""
        found: list[Redaction] = []
        for name, pattern in _patterns():
            text = pattern.sub(functools.partial(self._replace, name, path, found), text)
        return text, found

    def _replace(self, name: str, path: str, found: list[Redaction], match: re.Match[str]) -> str:
        group = 1 if match.re.groups and match.group(1) else 0
        secret = match.group(group)
        if secret.startswith("[redacted "):
            return match.group(0)
        start, end = match.span(group)
        whole_start = match.start(0)
        whole = match.group(0)
        return (
            whole[: start - whole_start]
            + self._mark(secret, path, name, found)
            + whole[end - whole_start :]
        )

    def _mark(self, secret: str, path: str, reason: str, found: list[Redaction]) -> str:
        digest = hmac.new(self.key, secret.encode(), hashlib.sha256).hexdigest()
        found.append(Redaction(path or "(whole)", reason, digest))
        return f"[redacted {digest[:12]}]"

    def _declared(
        self, value: Any, steps: Sequence[Step], path: str, found: list[Redaction]
    ) -> Any:
        if value is None:
            return None
        if not steps:
            text = value if isinstance(value, str) else repr(value)
            return self._mark(text, path, "declared", found)
        step, rest = steps[0], steps[1:]
        if step == "[]" and isinstance(value, list):
            return [
                self._declared(item, rest, f"{path}[{index}]", found)
                for index, item in enumerate(value)
            ]
        if step == "*" and isinstance(value, dict):
            return {
                key: self._declared(item, rest, f"{path}.{key}", found)
                for key, item in value.items()
            }
        if isinstance(value, dict) and step in value:
            inner = self._declared(value[step], rest, f"{path}.{step}".lstrip("."), found)
            return {**value, step: inner}
        return value

    def _detected(self, value: Any, path: str, found: list[Redaction]) -> Any:
        if isinstance(value, str):
            if len(value) < _SHORTEST_SECRET:
                return value
            text, here = self.redact_text(value, path)
            found.extend(here)
            return text
        if isinstance(value, dict):
            return self._detected_members(value, path, found)
        if isinstance(value, list):
            count = len(found)
            items = [
                self._detected(item, f"{path}[{index}]", found) for index, item in enumerate(value)
            ]
            return items if len(found) > count else value
        return value

    def _detected_members(
        self, value: dict[str, Any], path: str, found: list[Redaction]
    ) -> dict[str, Any]:
        count = len(found)
        members = {
            key: self._detected(item, f"{path}.{key}".lstrip("."), found)
            for key, item in value.items()
        }
        return members if len(found) > count else value


_SHORTEST_SECRET = 12


def _leaves(value: Any) -> Iterator[str]:
    """Yield every text that is long enough to hold a secret."""
    if isinstance(value, str):
        if len(value) >= _SHORTEST_SECRET:
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)


def _may_hold_a_secret(text: str) -> bool:
    """Whether any pattern matches anywhere in all texts joined: most answers end here, quickly."""
    return any(pattern.search(text) for _, pattern in _patterns())


@functools.cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The patterns, by the name that a redaction gives as its reason."""
    import importlib

    found = [
        ("private key", _PRIVATE_KEY),
        ("AWS secret access key", _AWS_SECRET_KEY),
        ("password or key assignment", _ASSIGNMENT),
    ]
    for detector in _DETECTORS:
        module, name = detector.split(".")
        plugin = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)
        found.extend((plugin.secret_type, pattern) for pattern in plugin.denylist)
    return tuple(found)

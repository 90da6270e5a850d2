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

_GROUPS_ARE_PREFIXES = {"github_token.GitHubTokenDetector", "gitlab_token.GitLabTokenDetector"}
"""Detectors whose first group is not the secret but the kind of token that it starts with."""

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_AWS_SECRET_KEY = re.compile(
    r"(?i)aws.{0,20}?(?:key|pwd|pw|password|pass|token).{0,20}?"
    r"['\"=: ]([0-9a-zA-Z/+]{40})(?![\w/+])"
)
_CONNECTION = re.compile(r"://[^\s/?#@:'\"]*:([^\s/?#@'\"]{3,})@")
_WEB_TOKEN = re.compile(r"eyJ[\w=-]+\.[\w=-]+(?:\.[\w=-]*)*")
_GITHUB_FINE_GRAINED = re.compile(r"github_pat_\w{50,}")
_ASSIGNMENT = re.compile(
    r"(?i)(?:password|passwd|pwd|secret[_-]?(?:access[_-]?)?key|api[_-]?key"
    r"|(?:access|auth|session)[_-]?token)"
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
                key: self._declared(item, rest, f"{path}.{key}".lstrip("."), found)
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
        named = _secret_members(value)
        members = {}
        for key, item in value.items():
            here = f"{path}.{key}".lstrip(".")
            if key in named:
                members[key] = self._mark(item, here, "named as a secret", found)
            else:
                members[key] = self._detected(item, here, found)
        return members if len(found) > count else value


_SHORTEST_SECRET = 12
_SHORTEST_NAMED_SECRET = 6
_SECRET_NAME = re.compile(
    r"(?i)(?:password|passwd|passphrase|(?:secret|private|api)[_-]?(?:access[_-]?)?key"
    r"|(?:access|auth|session|bearer)[_-]?token|client[_-]?secret)$"
)
_PAIRS = (("Name", "Value"), ("name", "value"), ("Key", "Value"), ("key", "value"))


@functools.lru_cache(maxsize=8192)
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _secret_members(value: dict[str, Any]) -> list[str]:
    """Return the members that hold a secret by their name, or by the name in a name/value pair."""
    named = [key for key in value if isinstance(key, str) and _names_a_secret(key)]
    for name, text in _PAIRS:
        if isinstance(value.get(name), str) and text in value and _names_a_secret(value[name]):
            named.append(text)
    return [key for key in named if _may_be_secret(value[key])]


def _may_be_secret(value: Any) -> bool:
    """Whether a text may be the secret itself: an ARN is the address of one."""
    return (
        isinstance(value, str)
        and len(value) >= _SHORTEST_NAMED_SECRET
        and not value.startswith(("arn:", "[redacted "))
    )


def _leaves(value: Any) -> Iterator[str]:
    """Yield every text that is long enough to hold a secret."""
    if isinstance(value, str):
        if len(value) >= _SHORTEST_SECRET:
            yield value
    elif isinstance(value, dict):
        if _secret_members(value):
            yield "password=named-as-a-secret"  # makes the caller look closely
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
        ("connection string", _CONNECTION),
        ("JSON Web Token", _WEB_TOKEN),
        ("GitHub Token", _GITHUB_FINE_GRAINED),
        ("password or key assignment", _ASSIGNMENT),
    ]
    for detector in _DETECTORS:
        module, name = detector.split(".")
        plugin = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)
        ungrouped = detector in _GROUPS_ARE_PREFIXES
        found.extend(
            (plugin.secret_type, _without_groups(pattern) if ungrouped else pattern)
            for pattern in plugin.denylist
        )
    return tuple(found)


def _without_groups(pattern: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern.pattern), pattern.flags)

"""Which names say that what they name is a secret, and which values can be one.

`DB_PASSWORD`, `stripe-secret` and `x-api-key` say so; `NextToken`, `MinimumPasswordLength` and
`KmsKeyId` only sound like it. A name is strong (whatever it holds is a secret, unless it is plainly
a placeholder or a reference) or weak (what it holds is a secret if it looks random).
"""

from __future__ import annotations

import base64
import binascii
import collections
import enum
import functools
import itertools
import math
import re


class Strength(enum.Enum):
    """How much a name says about its value."""

    NONE = 0
    WEAK = 1
    STRONG = 2


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_QUALIFIERS = frozenset(
    (
        *("value", "plain", "plaintext", "text", "string", "prod", "production", "dev"),
        *("development", "staging", "stage", "test", "live", "old", "new", "current"),
        *("previous", "primary", "secondary", "main", "base", "base64", "b64", "encoded"),
        *("env", "local", "default"),
    )
)
"""Words that may follow the one that counts: `DB_PASSWORD_PROD`, `SECRET_KEY_BASE`."""

_PASSWORDS = ("password", "passwd", "passphrase", "passwort", "pwd", "passcode", "psk")
_STRONG_WORDS = frozenset(
    (
        *("apikey", "secretkey", "privatekey", "accesskey", "accountkey", "authkey"),
        *("presharedkey", "sharedkey", "authtoken", "accesstoken", "clientsecret"),
        *("dbpass", "userpass", "apitoken", "apisecret", "requirepass"),
    )
)
_WEAK_WORDS = frozenset(
    (
        *("secret", "token", "auth", "authorization", "bearer", "cookie", "credential"),
        *("credentials", "creds", "salt", "pepper", "seed", "referer", "masterkey"),
        *("signingkey", "encryptionkey", "webhook"),
    )
)
_WEAK_ENDINGS = ("token", "secret", "cookie", "key")
"""Ends of names in which nothing divides the words: `ACMETOKEN`."""

_STRONG_KEYS = frozenset(
    (
        *("secret", "private", "api", "access", "auth", "shared", "consumer"),
        *("preshared", "webhook"),
    )
)
"""What makes the word `key` after it a secret."""

_HARMLESS_KEYS = frozenset(
    (
        *("public", "partition", "hash", "sort", "range", "primary", "foreign", "object"),
        *("s3", "kms", "sse", "tag", "cache", "index", "search", "lookup", "metric"),
        *("dimension", "group", "row", "item", "resource", "idempotency", "context"),
        *("host", "config", "filter", "order", "attribute", "condition", "bucket"),
        *("prefix",),
    )
)
_HARMLESS_TOKENS = frozenset(
    (
        *("next", "continuation", "pagination", "client", "request", "creation"),
        *("idempotency", "start", "starting", "resume", "caller", "page", "lock"),
        *("change", "update", "sync", "revision", "cancellation", "response", "query"),
        *("prev", "marker", "validation", "max", "min", "concurrency", "verification"),
    )
)
"""What makes the word `token` after it a cursor, or a mark against doing a thing twice."""

_WEAK_SECRETS = frozenset((*("existing", "image", "pull", "tls", "managed", "user", "named"),))
"""What makes the word `secret` after it the name of one, as Kubernetes has it."""

_PLACEHOLDER = re.compile(
    r"""(?ix)
      (?: true | false | yes | no | none | null | nil | undefined | unset | empty | required
        | optional | enabled | disabled | default | string | str | text | boolean | integer
        | number | object | unknown | n/?a | todo | tbd | todo | hidden | masked | redacted
        | not_?specified | not_?supported | sensitive | omitted | e\.g\.? | example | \d
        | [-*.x•#_?+=|~]+ | [^\w]{1,2} )
      | \[[\w\ -]+\] | fileb?://.*
      | arn:.* | alias/.* | ssm:.* | vault:.* | \{\{.* | \$\{.* | \$\(.* | %\{.* | <[^<>]*>
      | \$[a-z_]\w* | %\w+% | \$env:\w+ | \[redacted\ [0-9a-f]{12}\].*
      | !(?:ref|sub|getatt|join|importvalue|select|findinmap)\b.* | \{?"?(?:ref|fn::\w+)"?\b.*
      | (?:os\.|process\.env|system\.getenv|getenv|var\.|local\.|data\.|module\.|aws_\w+\.).*
      | [a-z_][\w.]*\([^)]*\)?
    """,
    re.DOTALL,
)
"""Values that stand for one that is elsewhere, or for none."""

_ADDRESS = re.compile(
    r"""(?ix)
      arn:.* | [a-z][\w+.-]*://.* | /[\w./-]* | [\w.-]+@[\w.-]+ | [a-z0-9_.-]+(?:/[a-z0-9_.*-]+)+
      | (?:\w+-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
      | mrk-[0-9a-f]{32} | sha\d+:.* | [a-z]+(?:-[a-z]+)*-[0-9a-f]{8}(?:[0-9a-f]{9})?
      | \d{4}-\d\d-\d\d.* | [\d.:/-]+ | (?:AKIA|ASIA|AROA|AIDA|ANPA|AIPA|AGPA)[A-Z0-9]{12,20}
      | [\w-]+(?:\.[\w-]+)*\.(?:com|net|org|io|aws|json|ya?ml|zip|jar|pem|crt|txt|py|js)
    """,
    re.DOTALL,
)
"""Addresses, ids and dates: they may look random, and are no secrets."""

_ACCESS_KEY_ID = re.compile(r"(?:AKIA|ASIA|A3T[A-Z0-9])[A-Z0-9]{12,17}")
_PATH_IN_WORDS = re.compile(r"[a-z][a-z0-9_-]*(?:/[a-z][a-z0-9_.-]*)+")
_WEB_ADDRESS = re.compile(r"https?://[^\s@]+")
_BITS_OF_RANDOM = 2.9
_SHORTEST_RANDOM = 8
_UNDIVIDED = 7


@functools.lru_cache(maxsize=16384)
def strength_of(name: str) -> Strength:
    """Return what `name` says about its value."""
    words = [word.lower() for word in _WORD.findall(name[-120:])]
    while len(words) > 1 and (words[-1] in _QUALIFIERS or words[-1].isdigit()):
        words.pop()
    if not words or name.strip("$") in ("PWD", "OLDPWD", "pwd"):
        return Strength.NONE
    return _strength_of_words(words[-1], words[-2] if len(words) > 1 else "")


def _strength_of_words(last: str, before: str) -> Strength:
    if last.endswith(_PASSWORDS) or last in _STRONG_WORDS:
        return Strength.STRONG
    if last in ("pass", "pw"):
        return Strength.STRONG if before else Strength.WEAK
    if last == "key":
        return _strength_of_key(before)
    if last == "token" and before:
        return Strength.NONE if before in _HARMLESS_TOKENS else Strength.STRONG
    if last == "secret" and before:
        return Strength.WEAK if before in _WEAK_SECRETS else Strength.STRONG
    if last in ("url", "uri") and before in ("webhook", "hook"):
        return Strength.WEAK
    weak = last in _WEAK_WORDS or (len(last) > _UNDIVIDED and last.endswith(_WEAK_ENDINGS))
    return Strength.WEAK if weak else Strength.NONE


def _strength_of_key(before: str) -> Strength:
    if before in _STRONG_KEYS:
        return Strength.STRONG
    if not before or before in _HARMLESS_KEYS:
        return Strength.NONE
    return Strength.WEAK


def names_a_secret(name: str, value: str) -> bool:
    """Whether `value`, called `name`, is to be taken for a secret."""
    strength = strength_of(name)
    if strength is Strength.NONE or is_placeholder(value):
        return False
    if strength is Strength.WEAK:
        return looks_random(value) or _is_hook(name, value) or _is_pair(value)
    if is_password_name(name):
        return True
    return not any(form.fullmatch(value) for form in (_ACCESS_KEY_ID, _PATH_IN_WORDS, _WEB_ADDRESS))


@functools.lru_cache(maxsize=4096)
def is_password_name(name: str) -> bool:
    """Whether `name` says that its value is a password, and not some key or token."""
    return name.lower().rstrip("0123456789_").endswith((*_PASSWORDS, "pass"))


def is_placeholder(value: str) -> bool:
    """Whether `value` stands for a secret that is elsewhere (`${DB_PASSWORD}`, an ARN), or none."""
    return not value.strip() or _PLACEHOLDER.fullmatch(value.strip()) is not None


def looks_random(value: str) -> bool:
    """Whether `value` is one word that nobody would have chosen: letters and digits, mixed."""
    if len(value) < _SHORTEST_RANDOM or any(character.isspace() for character in value):
        return False
    if _ADDRESS.fullmatch(value):
        return False
    digits = sum(character.isdigit() for character in value)
    if not any(character.isalpha() for character in value):
        return False
    if not digits and len(value) < 2 * _SHORTEST_RANDOM:
        return False
    if not digits and (value.islower() or value.isupper()):
        return False
    return entropy(value) >= _BITS_OF_RANDOM and (digits >= 2 or transitions(value) >= 0.45)


def entropy(text: str) -> float:
    """Return the Shannon entropy of the characters of `text`, in bits a character."""
    counts = collections.Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


def transitions(text: str) -> float:
    """Return how often neighbours in `text` are of different kinds, from 0 to 1.

    Random base64 has about 0.65; words in CamelCase, which can be as long, below 0.35.
    """
    kinds = [0 if c.isdigit() else 1 if c.islower() else 2 if c.isupper() else 3 for c in text]
    changes = sum(one != other for one, other in itertools.pairwise(kinds))
    return changes / max(1, len(text) - 1)


def _is_hook(name: str, value: str) -> bool:
    """Whether `value` is a web address that opens to whoever knows it."""
    if "hook" not in name.lower() or "://" not in value:
        return False
    return any(len(part) >= 16 and looks_random(part) for part in re.split(r"[/?=&]", value))


def _is_pair(value: str) -> bool:
    """Whether `value` is the base64 form of `user:password`, as Basic authentication has it."""
    try:
        decoded = base64.b64decode(value.encode(), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    return re.fullmatch(r"[^:\s]+:\S+", decoded) is not None and decoded.isprintable()

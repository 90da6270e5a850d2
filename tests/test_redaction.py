"""Redaction: secrets go, wherever they are; what only looks like one stays; equal stays equal.

The secrets here are made up, and put together when the tests run.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.redaction import Redactor, _patterns, parse_path

KEY = b"k" * 32
REDACTOR = Redactor(KEY, {})

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MIXED = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1BcD4fGh7jKl0nOp3rSt6vWx9zAa2cBb4dCc6eDd8fEe0gFf1hGg3i"
HEX = "0123456789abcdef" * 8
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG" + "/bPxRfiCYEXAMPLEKEY"
JWT_PARTS = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0",
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
)


def pem(kind: str) -> str:
    return f"-----BEGIN {kind}-----\nMIIEvQIBADANBg{MIXED}\n{MIXED}\n-----END {kind}-----"


SECRETS: dict[str, tuple[str, str, str]] = {
    # name: (what is before the secret, the secret, what is after it)
    "private key, PKCS#8": ("key: ", pem("PRIVATE KEY"), " done"),
    "private key, RSA": ("", pem("RSA PRIVATE KEY"), ""),
    "private key, EC, in a script": ("cat <<X\n", pem("EC PRIVATE KEY"), "\nX\n"),
    "private key, OpenSSH": ("", pem("OPENSSH PRIVATE KEY"), "\n"),
    "private key, encrypted": ("", pem("ENCRYPTED PRIVATE KEY"), ""),
    "private key, PGP": ("", pem("PGP PRIVATE KEY BLOCK"), ""),
    "private key, cut off": ("", pem("RSA PRIVATE KEY")[:80], ""),
    "AWS, credentials file": ("aws_secret_access_key = ", AWS_SECRET, "\nregion = eu-west-1"),
    "AWS, environment": ("export AWS_SECRET_ACCESS_KEY=", AWS_SECRET, "\n"),
    "AWS, quoted": ("AWS_SECRET_ACCESS_KEY='", AWS_SECRET, "'"),
    "AWS, JSON": ('{"aws_secret_access_key": "', AWS_SECRET, '"}'),
    "AWS, as STS answers": (
        '{"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "',
        AWS_SECRET,
        '"}',
    ),
    "AWS, without a prefix": ('secret_access_key = "', AWS_SECRET, '"'),
    "AWS, Terraform": ('secret_key = "', AWS_SECRET, '"'),
    "AWS, session token": (
        "AWS_SESSION_TOKEN=",
        "IQoJb3JpZ2luX2VjEHoaCXVz" + AWS_SECRET + "==",
        "\n",
    ),
    "Azure storage": (
        "DefaultEndpointsProtocol=https;AccountName=a;",
        "AccountKey=" + (MIXED + MIXED)[:86] + "==",
        ";EndpointSuffix=core.windows.net",
    ),
    "connection string, PostgreSQL": ("postgres://app:", "s3cr3tPassw0rd", "@db.internal:5432/app"),
    "connection string, MongoDB": ("mongodb+srv://app:", "s3cr3tPassw0rd", "@cluster0.example.net"),
    "connection string, AMQP": ("amqps://app:", "s3cr3tPassw0rd", "@mq.example.com:5671"),
    "connection string, any characters": ("mysql://app:", "p%40ss!w0rd$1", "@db.internal:3306/app"),
    "connection string, Redis": ("rediss://:", "s3cr3tPassw0rd", "@cache.example.com:6379/0"),
    "connection string, SQL Server": (
        "Server=db;User ID=sa;Password=",
        "Str0ngPassw0rd",
        ";Encrypt=1",
    ),
    "connection string, JDBC": (
        "jdbc:mysql://db/app?user=app&password=",
        "Str0ngPassw0rd",
        "&ssl=1",
    ),
    "basic auth in a URL": ("git clone https://bot:", "s3cr3tPassw0rd", "@git.example.com/r.git"),
    "JSON Web Token": ("Authorization: Bearer ", ".".join(JWT_PARTS), " HTTP"),
    "GitHub, personal": ("token ", "ghp" + "_" + MIXED[:36], ""),
    "GitHub, OAuth": ("", "gho" + "_" + MIXED[:36], "\n"),
    "GitHub, app": ("git+https://", "ghs" + "_" + MIXED[:36], "/x"),
    "GitHub, fine-grained": ("", "github" + "_pat_" + MIXED[:22] + "_" + MIXED[:59], ""),
    "GitLab, personal": ("curl -H 'PRIVATE-TOKEN: ", "glpat" + "-" + MIXED[:20], "'"),
    "GitLab, runner": ("", "glrt" + "-" + MIXED[:20], ""),
    "GitLab, runner registration": ("", "GR1348941" + MIXED[:20], ""),
    "GitLab, job": ("", "glcbt" + "-64_" + MIXED[:20], ""),
    "GitLab, incoming mail": ("", "glimt" + "-" + MIXED[:25], ""),
    "GitLab, trigger": ("", "glptt" + "-" + HEX[:40], ""),
    "GitLab, agent": ("", "glagent" + "-" + MIXED[:50], ""),
    "GitLab, application": ("", "gloas" + "-" + HEX[:64], ""),
    "Slack, bot": ("", "xox" + "b-123456789012-123456789012-" + LETTERS[:24], ""),
    "Slack, webhook": (
        "curl ",
        "https://hooks.slack.com/services/" + "T00000000/B00000000/" + MIXED[:24],
        "",
    ),
    "Discord": ("", "M" + MIXED[:23] + "." + MIXED[:6] + "." + MIXED[:27], ""),
    "Stripe": ("", "sk" + "_live_" + MIXED[:24], ""),
    "Square": ("", "sq0csp" + "-" + MIXED[:43], ""),
    "SendGrid": ("", "SG" + "." + MIXED[:22] + "." + MIXED[:43], ""),
    "OpenAI": ("", "sk" + "-" + MIXED[:20] + "T3BlbkFJ" + MIXED[:20], ""),
    "PyPI": ("", "pypi" + "-AgEIcHlwaS5vcmc" + MIXED[:72], ""),
    "PyPI, test": ("", "pypi" + "-AgENdGVzdC5weXBpLm9yZw" + MIXED[:72], ""),
    "npm": ("//registry.npmjs.org/:_authToken=", "npm" + "_" + MIXED[:36], ""),
    "npm, old form": (
        "//registry.npmjs.org/:_authToken=",
        "01234567-89ab-cdef-0123-456789abcdef",
        "",
    ),
    "Cloudant": ('cloudant_password="', HEX[:64], '"'),
    "Cloudant, letters": ("cloudant_key = ", LETTERS[:24], ""),
    "Cloudant, URL": ("https://app:", HEX[:64], "@app.cloudant.com"),
    "Cloudant, URL, letters": ("https://app:", LETTERS[:24], "@app.cloudant.com"),
    "IBM Cloud": ("ibm_cloud_api_key = ", MIXED[:44], ""),
    "IBM COS": ('"cos_hmac_secret_access_key": "', HEX[:48], '"'),
    "SoftLayer": ("softlayer_api_key = ", HEX[:64], ""),
    "SoftLayer, URL": ("https://api.softlayer.com/soap/v3/", HEX[:64], ""),
    "password in a script": ("mysql --user app --password=", "correct-horse-battery", " app"),
    "password in JSON": ('{"user": "app", "password": "', "correct-horse-battery", '"}'),
    "password in YAML": ("db:\n  password: ", "correct-horse-battery", "\n  port: 1"),
    "API key in a header": ("x-api-key: ", "correct-horse-battery", "\n"),
    "access token in a URL": ("https://x.example.com/?access_token=", "correct-horse", "&page=2"),
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_taken_out_whole_and_what_is_around_it_stays(name: str) -> None:
    before, secret, after = SECRETS[name]
    text, found = REDACTOR.redact_text(before + secret + after, "Some.Path")
    assert leaks(secret, text) == ""
    assert text.startswith(before)
    assert text.endswith(after)
    assert found
    assert {item.path for item in found} == {"Some.Path"}
    assert all(f"[redacted {item.digest[:12]}]" in text for item in found)


def leaks(secret: str, text: str) -> str:
    """Return the first eight characters in a row of `secret` that `text` still holds."""
    body = text.replace("[redacted ", "")
    windows = (secret[start : start + 8] for start in range(max(1, len(secret) - 7)))
    return next((window for window in windows if window in body), "")


def test_every_pattern_that_is_kept_has_a_secret_above() -> None:
    texts = ["".join(parts) for parts in SECRETS.values()]
    unused = [
        (name, pattern.pattern)
        for name, pattern in _patterns()
        if not any(pattern.search(text) for text in texts)
    ]
    assert unused == []


@pytest.mark.parametrize("name", SECRETS)
def test_redacting_again_finds_nothing_more(name: str) -> None:
    text, _ = REDACTOR.redact_text("".join(SECRETS[name]))
    assert REDACTOR.redact_text(text) == (text, [])


# ------------------------------------------------------------------------- what is no secret

INNOCENT = [
    "arn:aws:iam::123456789012:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
    "arn:aws:iam::123456789012:user/division_abc/subdivision_xyz/Password-Manager",
    "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "arn:aws:kms:us-east-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db/password-AbCdEf",
    "arn:aws:ssm:eu-west-1:123456789012:parameter/prod/api_key/stripe",
    "arn:aws:acm:us-east-1:123456789012:certificate/0e3f1a2b-4c5d-6e7f-8a9b-0c1d2e3f4a5b",
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188",
    "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com",
    "arn:aws:sts::123456789012:assumed-role/Deploy/GitHubActions-7654321098765432101234567",
    "AKIAIOSFODNN7EXAMPLE",
    "AIDACKCEVSQ6C2EXAMPLE",
    "vpce-0123456789abcdef0",
    "i-0a1b2c3d4e5f67890",
    "subnet-0bb1c79de3EXAMPLE",
    "Z2FDTNDATAQYW2",
    "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be",
    "6938fd4d98bab03faadb97b34396831e3780aea1",
    "d41d8cd98f00b204e9800998ecf8427e",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "123456789012.dkr.ecr.us-east-1.amazonaws.com/app@sha256:" + HEX[:64],
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "1f:51:ae:28:bf:89:e9:d8:1f:25:5d:37:2d:7d:b8:ca:9f:f5:f1:6f",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ" + MIXED + " ops@example.com",
    "-----BEGIN CERTIFICATE-----\nMIIDXTCCAkWgAwIBAgIJAJC1HiIAZAiI\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    "eyJ2IjoyLCJpZCI6IjEyMzQ1Njc4OTAxMiIsInRva2VuIjoiYWJjZGVmIn0=",
    "AAIBAYQKgbxPhmr0xw5wo2ae6wqRhFL1yXMSkPr0Jf2W3bMV0123456789+/ab==",
    "eyJNYXJrZXIiOiBudWxsLCAiYm90b190cnVuY2F0ZV9hbW91bnQiOiAxfQ==",
    '{"nextToken": "f8a1c2d3e4b5a6978899aabbccddeeff00112233", "maxResults": 100}',
    '{"Marker": "AAFbTXlNYXJrZXIvd2l0aC9zbGFzaGVzKzEyMzQ1Njc4OTA="}',
    '{"Version":"2012-10-17","Statement":[{"Sid":"AllowRotation","Effect":"Allow","Principal":'
    '{"AWS":"arn:aws:iam::123456789012:root"},"Action":["secretsmanager:GetSecretValue",'
    '"iam:ChangePassword","iam:UpdateLoginProfile"],"Resource":"*","Condition":{"Bool":'
    '{"aws:SecureTransport":"true"},"StringEquals":{"kms:ViaService":"s3.eu-west-1.amazonaws.com",'
    '"aws:PrincipalTag/access-token":"none"}}}]}',
    '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":'
    '"arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"}}]}',
    '{"MinimumPasswordLength":14,"RequireSymbols":true,"PasswordReusePrevention":24}',
    "user,arn,password_enabled,password_last_used,access_key_1_active,access_key_1_last_rotated",
    "<root_account>,arn:aws:iam::123456789012:root,2024-01-01T00:00:00+00:00,not_supported,true",
    "{{resolve:secretsmanager:prod/db:SecretString:password}}",
    "https://sqs.us-east-1.amazonaws.com/123456789012/jobs?Action=ReceiveMessage#12:30@noon",
    "https://example.awsapps.com/start#/?tab=accounts",
    "User: arn:aws:sts::123456789012:assumed-role/Audit/x is not authorized to perform:"
    " secretsmanager:GetSecretValue on resource: prod/db because no identity-based policy allows",
    "The security token included in the request is invalid; pass a valid access key",
    "2026-03-01T06:00:00.000Z eu-west-1a 10.0.0.0/16 0.0.0.0/0 ::/0",
    "/aws/lambda/password-reset-handler",
    "tls13-1-2-2021-06;ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04",
]
"""Texts as clouds answer them, none of them a secret."""


@pytest.mark.parametrize("text", INNOCENT, ids=lambda text: text[:40])
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert REDACTOR.redact_text(text) == (text, [])


def test_an_answer_without_secrets_is_returned_as_it_is() -> None:
    assert len(INNOCENT) >= 40
    answer = {"Items": [{"Value": text, "Inside": [[text]]} for text in INNOCENT], "Count": 44}
    redacted, found = REDACTOR.redact("list_things", answer)
    assert redacted is answer
    assert found == []


# ------------------------------------------------------------------------------------ digests


def test_the_digest_is_keyed_so_equal_secrets_stay_equal_and_guesses_cannot_be_tested() -> None:
    secret = SECRETS["Stripe"][1]
    answer = {"a": secret, "b": [f"key is {secret}."], "c": SECRETS["SendGrid"][1]}
    _, (first, second, third) = REDACTOR.redact("op", answer)
    assert first.digest == second.digest != third.digest
    assert first.digest == hmac.new(KEY, secret.encode(), hashlib.sha256).hexdigest()
    _, (other, *_) = Redactor(b"another key", {}).redact("op", answer)
    assert other.digest != first.digest
    assert first.digest != hashlib.sha256(secret.encode()).hexdigest()


def test_a_declared_and_a_recognised_secret_are_recognisably_the_same() -> None:
    secret = SECRETS["Stripe"][1]
    redactor = Redactor(KEY, {"op": [parse_path("Variables.*")]})
    _, (declared, detected) = redactor.redact("op", {"Variables": {"KEY": secret}, "x": secret})
    assert (declared.reason, detected.reason) == ("declared", "Stripe Access Key")
    assert declared.digest == detected.digest


# ------------------------------------------------------------------------------ declared paths


def redacted(path: str, answer: Any) -> tuple[Any, list[str]]:
    """Redact one declared path; return the answer with marks as `#`, and the paths found."""
    before = copy.deepcopy(answer)
    value, found = Redactor(KEY, {"op": [parse_path(path)]}).redact("op", answer)
    assert answer == before, "the answer itself is never changed"
    text = json.dumps(value)
    for item in found:
        text = text.replace(f"[redacted {item.digest[:12]}]", "#")
    return json.loads(text), [item.path for item in found]


def test_a_declared_member_is_taken_out_whatever_it_holds() -> None:
    for value in ("text", "", 5, True, {"deep": ["x"]}, ["x", "y"]):
        assert redacted("A.B", {"A": {"B": value, "C": 1}}) == ({"A": {"B": "#", "C": 1}}, ["A.B"])


def test_a_star_takes_every_value_and_keeps_the_names() -> None:
    answer = {"Environment": {"Variables": {"URL": "u", "TOKEN": "t"}}, "Name": "f"}
    assert redacted("Environment.Variables.*", answer) == (
        {"Environment": {"Variables": {"URL": "#", "TOKEN": "#"}}, "Name": "f"},
        ["Environment.Variables.URL", "Environment.Variables.TOKEN"],
    )
    assert redacted("*", {"URL": "u"}) == ({"URL": "#"}, ["URL"])


def test_brackets_take_every_element_at_every_depth() -> None:
    answer = {
        "Functions": [
            {"Name": "a", "Env": [{"k": "K1", "v": "1"}, {"k": "K2"}]},
            {"Name": "b"},
            {"Name": "c", "Env": [{"k": "K3", "v": "3"}]},
        ]
    }
    assert redacted("Functions[].Env[].v", answer) == (
        {
            "Functions": [
                {"Name": "a", "Env": [{"k": "K1", "v": "#"}, {"k": "K2"}]},
                {"Name": "b"},
                {"Name": "c", "Env": [{"k": "K3", "v": "#"}]},
            ]
        },
        ["Functions[0].Env[0].v", "Functions[2].Env[0].v"],
    )
    assert redacted("Args[]", {"Args": ["x", "y"]}) == (
        {"Args": ["#", "#"]},
        ["Args[0]", "Args[1]"],
    )


@pytest.mark.parametrize("answer", [{}, {"A": None}, {"A": {"B": None}}, {"A": "x"}, [], "text"])
def test_where_a_declared_path_leads_nowhere_nothing_happens(answer: Any) -> None:
    assert redacted("A.B", answer) == (answer, [])


def test_a_declaration_counts_for_its_operation_only() -> None:
    redactor = Redactor(KEY, {"get_function": [("Environment",)]})
    answer = {"Environment": "production"}
    assert redactor.redact("list_functions", answer) == (answer, [])
    assert redactor.redact("get_function", answer)[1]


@pytest.mark.parametrize("path", ["", "A..B", ".A", "A."])
def test_a_path_with_an_empty_step_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="empty step"):
        parse_path(path)


# ---------------------------------------------------------------------------------- detection


def test_secrets_are_found_in_lists_within_lists_and_named_by_their_path() -> None:
    secret = SECRETS["SendGrid"][1]
    answer = {"a": [[{"b": ["plain", f"x {secret}"]}], "plain"], "n": [1, None, True, 2.5]}
    value, (found,) = REDACTOR.redact("op", answer)
    assert found.path == "a[0][0].b[1]"
    assert value == {
        "a": [[{"b": ["plain", f"x [redacted {found.digest[:12]}]"]}], "plain"],
        "n": [1, None, True, 2.5],
    }
    assert secret in answer["a"][0][0]["b"][1], "the answer itself is never changed"


def test_an_answer_may_be_a_list_or_a_text_itself() -> None:
    secret = SECRETS["SendGrid"][1]
    for answer, path in ((secret, "(whole)"), ([secret], "[0]")):
        value, (found,) = REDACTOR.redact("op", answer)
        assert secret not in str(value)
        assert found.path == path


def test_several_secrets_in_one_text_are_each_taken_out() -> None:
    names = ["password in a script", "Slack, bot", "AWS, environment", "private key, RSA", "npm"]
    text, found = REDACTOR.redact_text("\n".join("".join(SECRETS[name]) for name in names))
    assert [name for name in names if leaks(SECRETS[name][1], text)] == []
    assert len(found) >= len(names)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SECRETS)), st.text(max_size=20), st.text(max_size=20))
def test_a_secret_on_a_line_of_its_own_is_found_in_any_text(
    name: str, before: str, after: str
) -> None:
    text, found = REDACTOR.redact_text(f"{before}\n{''.join(SECRETS[name])}\n{after}")
    assert found
    assert SECRETS[name][1] not in text
    assert text.startswith(before + "\n")


@pytest.mark.parametrize(
    "answer",
    [
        {"variables": {"DB_PASSWORD": "plainword"}},
        {"environment": [{"Name": "API_KEY", "Value": "abcdef1"}]},
        {"environment": [{"name": "client_secret", "value": "abcdef1"}]},
        {"Tags": [{"Key": "admin-password", "Value": "plainword"}]},
    ],
)
def test_a_value_whose_name_says_that_it_is_a_secret_is_taken_out(
    answer: dict[str, object],
) -> None:
    redacted, found = Redactor(b"k" * 32, {}).redact("any", answer)
    assert len(found) == 1
    assert "plainword" not in str(redacted)
    assert "abcdef1" not in str(redacted)


@pytest.mark.parametrize(
    "answer",
    [
        {"SecretKey": "arn:aws:secretsmanager:us-east-1:111111111111:secret:db-AbCdEf"},
        {"PasswordLastUsed": "2026-01-01T00:00:00"},
        {"NextToken": "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"RequireSymbols": True, "MinimumPasswordLength": 14},
        {"Tags": [{"Key": "password-policy", "Value": "strong-enough"}]},
    ],
)
def test_a_name_that_only_sounds_like_a_secret_is_kept(answer: dict[str, object]) -> None:
    assert Redactor(b"k" * 32, {}).redact("any", answer) == (answer, [])

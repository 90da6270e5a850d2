"""Redaction: secrets go, wherever they are; what only looks like one stays; equal stays equal.

The secrets here are made up, and put together when the tests run.
"""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import hmac
import html
import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_harmless import documentation, ids, managed_policies
from support_secrets import samples

from collectors.aws.catalogue import load_resource_types
from collectors.aws.models import operation_model
from evidence.redaction import Redactor, parse_path
from evidence.secret_encodings import LARGEST, text_of
from evidence.secret_patterns import tokens, wider_forms

KEY = b"k" * 32
REDACTOR = Redactor(KEY, {})

SECRETS = samples()
HEX = "0123456789abcdef" * 8
MIXED = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1BcD4fGh7jKl0nOp3rSt6vWx9zAa2cBb4dCc6eDd8fEe0gFf1hGg3i"


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_taken_out_whole_and_what_is_around_it_stays(name: str) -> None:
    before, secret, after = SECRETS[name]
    text, found = REDACTOR.redact_text(before + secret + after, "Some.Path")
    assert leaks(secret, text) == ""
    assert text.startswith(before)
    assert text.endswith(after)
    assert found
    assert all(item.path.startswith("Some.Path") for item in found)
    assert all(f"[redacted {item.digest[:12]}]" in text for item in found)


def leaks(secret: str, text: str) -> str:
    """Return the first eight characters in a row of `secret` that `text` still holds."""
    body = text.replace("[redacted ", "")
    windows = (secret[start : start + 8] for start in range(max(1, len(secret) - 7)))
    return next((window for window in windows if window in body), "")


def test_every_pattern_that_is_kept_has_a_secret_above() -> None:
    texts = ["".join(parts) for parts in SECRETS.values()]
    unused = [
        (form.name, form.pattern.pattern)
        for form in (*tokens(), *wider_forms())
        if not any(form.may_match(text) and form.pattern.search(text) for text in texts)
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


def test_equal_secrets_have_equal_digests_and_the_mark_is_the_begin_of_one() -> None:
    secret = SECRETS["Stripe"][1]
    answer = {"a": secret, "b": [f"key is {secret}."], "c": SECRETS["SendGrid"][1]}
    value, (first, second, third) = REDACTOR.redact("op", answer)
    assert first.digest == second.digest != third.digest
    assert first.digest == hmac.new(KEY, secret.encode(), hashlib.sha256).hexdigest()
    assert value["a"] == f"[redacted {first.digest[:12]}]"
    _, (other, *_) = Redactor(b"another key", {}).redact("op", answer)
    assert other.digest != first.digest


def test_without_the_key_no_guess_can_be_tested_not_even_a_number_of_four_digits() -> None:
    value, (found,) = Redactor(KEY, {"op": [("Pin",)]}).redact("op", {"Pin": "4711"})
    assert value == {"Pin": f"[redacted {found.digest[:12]}]"}
    for guess in (f"{number:04}".encode() for number in range(10_000)):
        without = [hashlib.new(name, guess).hexdigest() for name in ("sha256", "sha1", "md5")]
        without.extend(hmac.new(key, guess, hashlib.sha256).hexdigest() for key in (b"", guess))
        assert all(digest[:12] != found.digest[:12] for digest in without)
    assert hmac.new(KEY, b"4711", hashlib.sha256).hexdigest() == found.digest


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


def test_elements_of_a_list_may_be_left_out_by_what_they_are_called() -> None:
    answer = {
        "items": [
            {"key": "enable-oslogin", "value": "TRUE"},
            {"key": "startup-script", "value": "curl"},
            {"key": "enable-oslogin-2fa", "value": "FALSE"},
            {"value": "no key"},
            "no object",
        ]
    }
    taken = copy.deepcopy(answer)
    taken["items"][1]["value"] = taken["items"][3]["value"] = "#"  # type: ignore[index]
    path = "items[key!=enable-oslogin|enable-oslogin-2fa].value"
    assert redacted(path, answer) == (taken, ["items[1].value", "items[3].value"])
    assert redacted("A.items[key!=x].value", {"A": answer})[1] == [
        f"A.items[{number}].value" for number in range(4)
    ]


@pytest.mark.parametrize("answer", [{}, {"A": None}, {"A": {"B": None}}, {"A": "x"}, [], "text"])
def test_where_a_declared_path_leads_nowhere_nothing_happens(answer: Any) -> None:
    assert redacted("A.B", answer) == (answer, [])


def test_two_stars_lead_anywhere_below() -> None:
    deep = {"Statement": {"Or": {"All": [{"Byte": {"Search": "s"}}, {"Not": {"Search": "t"}}]}}}
    assert redacted("Acl.**.Search", {"Acl": {"Rules": [deep], "Search": "u", "Name": "n"}}) == (
        {
            "Acl": {
                "Rules": [
                    {
                        "Statement": {
                            "Or": {"All": [{"Byte": {"Search": "#"}}, {"Not": {"Search": "#"}}]}
                        }
                    }
                ],
                "Search": "#",
                "Name": "n",
            }
        },
        [
            "Acl.Search",
            "Acl.Rules[0].Statement.Or.All[0].Byte.Search",
            "Acl.Rules[0].Statement.Or.All[1].Not.Search",
        ],
    )


@pytest.mark.parametrize(("mine", "other"), [("get", "list"), (("a", "get"), ("b", "get"))])
def test_a_declaration_counts_for_its_operation_only(mine: Hashable, other: Hashable) -> None:
    redactor = Redactor(KEY, {mine: [("Environment",)]})
    answer = {"Environment": "production"}
    assert redactor.redact(other, answer) == (answer, [])
    assert redactor.redact(mine, answer)[1]


def test_what_types_declare_is_there_and_counts_whichever_type_asks() -> None:
    types = load_resource_types().values()
    declared = {
        (service, item.operation, item.path)
        for spec in types
        for item in spec.redact
        for service, operation in spec.calls()
        if operation == item.operation
    }
    assert len(declared) >= sum(len(spec.redact) for spec in types) - 4, "shared by two types"
    for service, operation, path in declared:
        shape = operation_model(service, operation).output_shape
        assert leads_somewhere(shape, parse_path(path)), (service, operation, path)
        for spec in types:
            if (service, operation) in spec.calls():
                assert path in {item.path for item in spec.redact}, (spec.type, path)


def leads_somewhere(shape: Any, steps: Sequence[str], depth: int = 0) -> bool:
    """Whether a declared path leads to a member of what an operation answers with."""
    if not steps:
        return True
    step, rest = steps[0], steps[1:]
    inner = {"list": ["member"], "map": ["value"]}.get(shape.type_name, [])
    below = [getattr(shape, name) for name in inner]
    below.extend(shape.members.values() if shape.type_name == "structure" else ())
    if step == "**":
        deeper = any(leads_somewhere(item, steps, depth + 1) for item in below if depth < 12)
        return deeper or leads_somewhere(shape, rest)
    if step == "[]":
        return shape.type_name == "list" and leads_somewhere(shape.member, rest)
    if step == "*":
        return any(leads_somewhere(item, rest) for item in below)
    members = shape.members if shape.type_name == "structure" else {}
    if shape.type_name == "map":  # a key that the cloud's user chose
        return leads_somewhere(shape.value, rest)
    return step in members and leads_somewhere(members[step], rest)


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
    names = ["in a script", "Slack, bot", "AWS, environment", "private key, RSA", "npm"]
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


# ------------------------------------------------------------------------------------ by name


NAMED = {
    "a member": {"variables": {"DB_PASSWORD": "SECRET"}},
    "a pair": {"environment": [{"Name": "API_KEY", "Value": "SECRET"}]},
    "a pair, value first": {"environment": [{"value": "SECRET", "name": "client_secret"}]},
    "a tag": {"Tags": [{"Key": "admin-password", "Value": "SECRET"}]},
    "a parameter": {"Parameters": [{"ParameterKey": "DBPass", "ParameterValue": "SECRET"}]},
    "an output": {"Outputs": [{"OutputKey": "ApiToken", "OutputValue": "SECRET"}]},
    "an option": {"OptionSettings": [{"OptionName": "DB_PASSWORD", "Value": "SECRET"}]},
    "a default": {"Parameters": {"DBPassword": {"Type": "String", "Default": "SECRET"}}},
    "several": {"Filters": [{"Name": "api-key", "Values": ["SECRET", "SECRET"]}]},
    "an argument": {"command": ["run", "--db-password", "SECRET", "--verbose"]},
    "an argument in a text": {"command": '["run", "--db-password", "SECRET"]'},
    "a template in a text": {"TemplateBody": '{"P": {"DbPassword": {"Default": "SECRET"}}}'},
    "a template with escapes": {"TemplateBody": '{"db\\u0050assword": "SECRET"}'},
    "a key of JOSE": {"jwks": '{"kty": "EC", "crv": "P-256", "x": "public", "d": "SECRET"}'},
    "text in text in text": {"a": json.dumps({"b": json.dumps({"c": {"passwd": "SECRET"}})})},
}


@pytest.mark.parametrize(
    "secret", ["plain", "pass word", 'abc"1', "p@ss,w0rd;", "schlüssel", "x[y]{z}"]
)
@pytest.mark.parametrize("name", NAMED)
def test_a_value_whose_name_says_that_it_is_a_secret_is_taken_out(name: str, secret: str) -> None:
    text = json.dumps(NAMED[name])
    inside = json.dumps(secret)[1:-1]
    for _ in range(text.count('\\"') and (2 if "in text in" in name else 1)):
        inside = json.dumps(inside)[1:-1]
    if "in text in" in name:
        inside = json.dumps(secret)[1:-1]
        for _ in range(2):
            inside = json.dumps(inside)[1:-1]
    answer = json.loads(text.replace("SECRET", inside))
    value, found = REDACTOR.redact("any", answer)
    assert {item.digest for item in found} == {
        hmac.new(KEY, secret.encode(), hashlib.sha256).hexdigest()
    }
    assert secret not in str(value)
    marked = json.loads(text.replace("SECRET", f"[redacted {found[0].digest[:12]}]"))
    assert parsed(value) == parsed(marked), "what is around it stays"


def parsed(value: Any) -> Any:
    """Parse the JSON in texts, however often it is wrapped."""
    if isinstance(value, str) and value[:1] in "{[" and not value.startswith("[redacted"):
        return parsed(json.loads(value))
    if isinstance(value, dict):
        return {key: parsed(item) for key, item in value.items()}
    return [parsed(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "answer",
    [
        {"SecretKey": "arn:aws:secretsmanager:us-east-1:111111111111:secret:db-AbCdEf"},
        {"PasswordLastUsed": "2026-01-01T00:00:00"},
        {"NextToken": "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"RequireSymbols": True, "MinimumPasswordLength": 14},
        {"Tags": [{"Key": "password-policy", "Value": "strong-enough"}]},
        {"KmsMasterKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab", "EncryptionKey": "alias/app"},
        {"accessKey": "AKIAIOSFODNN7EXAMPLE", "AccessKeyId": "AKIAIOSFODNN7EXAMPLE"},
        {"secrets": [{"name": "DB_PASSWORD", "valueFrom": "arn:aws:ssm:x:1:parameter/db"}]},
        {"Environment": {"DB_PASSWORD": "{{resolve:secretsmanager:db:SecretString:password}}"}},
        {"Template": '{"Password": {"Ref": "DbPassword"}, "Token": "${Token}"}'},
        {"MasterUserPassword": "****", "AuthToken": None, "ApiKey": "", "Password": False},
        {"publicKey": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE", "keyName": "ops-2026a"},
        {"Description": "The password is kept in Secrets Manager; the token rotates daily"},
        {"Description": "password: the one that was sent by mail"},
    ],
)
def test_a_name_that_only_sounds_like_a_secret_is_kept(answer: dict[str, object]) -> None:
    assert REDACTOR.redact("any", answer) == (answer, [])


# ---------------------------------------------------------------------------------- encodings


def in_shell(text: str) -> str:
    return f"run --config '{json.dumps({'setting': text})}' now"


def in_escaped_shell(text: str) -> str:
    return f'export X="{json.dumps(json.dumps({"setting": text}))[1:-1]}"'


def in_base64(text: str) -> str:
    return "#!/bin/sh\ndata=" + base64.b64encode(f"setting {text}".encode()).decode()


def in_lines_of_base64(text: str) -> str:
    return base64.encodebytes(f"hello world, {text}".encode()).decode()


def in_gzip(text: str) -> str:
    return base64.b64encode(gzip.compress(f"#!/bin/sh\n{text}".encode())).decode()


def in_utf16(text: str) -> str:
    return "powershell -enc " + base64.b64encode(f"dir\n{text}".encode("utf-16-le")).decode()


def in_base64_twice(text: str) -> str:
    return base64.b64encode(base64.b64encode(f"setting {text}".encode())).decode()


def in_percents(text: str) -> str:
    return f"https://x.example.com/?q={quote(text, safe='')}"


def in_html(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def in_yaml(text: str) -> str:
    return "setting: |\n  " + text.replace("\n", "\n  ") + "\nnext: 1"


@pytest.mark.parametrize(
    "encode",
    [
        *(in_shell, in_escaped_shell, in_base64, in_lines_of_base64, in_gzip, in_utf16),
        *(in_base64_twice, in_percents, in_html, in_yaml),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_secret_is_found_inside_of_encodings(encode: Callable[[str], str], seed: int) -> None:
    missed = []
    for name, (before, secret, after) in samples(seed).items():
        encoded = encode(before + secret + after)
        value, found = REDACTOR.redact("op", {"Items": [{"Text": encoded}]})
        text = value["Items"][0]["Text"]
        forms = (secret, json.dumps(secret)[1:-1], quote(secret, safe=""), html.escape(secret))
        if not found or text == encoded or any(form in text for form in forms):
            missed.append(name)
    assert missed == []


def test_user_data_with_a_secret_goes_as_a_whole_and_without_stays() -> None:
    def data(text: str) -> str:
        return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()

    with_secret = data("#!/bin/sh\nexport DB_PASSWORD=hunter2\n")
    without = data("#!/bin/sh\nsystemctl start app\n")
    value, (found,) = REDACTOR.redact("op", {"One": with_secret, "Two": without})
    assert value == {"One": f"[redacted {found.digest[:12]}]", "Two": without}
    assert found.digest == hmac.new(KEY, with_secret.encode(), hashlib.sha256).hexdigest()


def test_a_bomb_is_looked_at_to_its_limit_only() -> None:
    secret = "DB_PASSWORD=hunter2\n"
    bomb = gzip.compress(secret.encode() + b"0" * (64 * LARGEST))
    assert len(text_of(bomb) or "") == LARGEST
    assert REDACTOR.redact_text(base64.b64encode(bomb).decode())[1]


def test_a_policy_with_a_secret_in_it_is_still_a_policy() -> None:
    def document(referer: str) -> str:
        condition = {"StringEquals": {"aws:Referer": referer, "aws:SourceVpce": "vpce-1a2b3c4d"}}
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Condition": condition}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    value, (found,) = REDACTOR.redact("op", {"Policy": document("a8Xk2PqLm9Zr4TvB")})
    assert value == {"Policy": document(f"[redacted {found.digest[:12]}]")}
    assert found.path == "Policy.Statement[0].Condition.StringEquals.aws:Referer"


def test_names_that_users_choose_may_hold_secrets_too() -> None:
    token = SECRETS["GitHub, personal"][1]
    value, (found,) = REDACTOR.redact("op", {"Tags": {token: "x", "Owner": "y"}})
    assert value == {"Tags": {f"[redacted {found.digest[:12]}]": "x", "Owner": "y"}}
    assert token not in found.path


@pytest.mark.parametrize("depth", [500, 5000])
def test_what_is_nested_too_deeply_to_be_judged_is_not_kept(depth: int) -> None:
    deep = '{"a":' * depth + '{"password":"hunter2"}' + "}" * depth
    value, found = REDACTOR.redact("op", {"Text": deep})
    assert found
    assert "hunter2" not in str(value)


# ----------------------------------------------------------------------------- false positives


def test_of_harmless_values_fewer_than_one_in_a_thousand_are_taken_for_secrets() -> None:
    wrong = [(kind, value) for kind, value in ids(400) if REDACTOR.redact("op", {"Id": value})[1]]
    assert len(wrong) < 400 * 41 / 1000, wrong


def test_the_policies_that_aws_manages_hold_no_secrets() -> None:
    policies = managed_policies()
    assert len(policies) > 1000
    assert REDACTOR.redact("op", {"Policies": policies}) == ({"Policies": policies}, [])


@pytest.mark.slow
def test_what_aws_says_of_its_own_services_is_hardly_ever_taken_for_a_secret() -> None:
    found, texts = 0, 0
    for text in documentation():
        texts += 1
        found += bool(REDACTOR.redact("op", [text])[1])
    assert texts > 200_000
    assert found / texts < 0.0005, "most of these show a sample password"

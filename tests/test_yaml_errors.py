"""What is wrong in a file that people write is told with file, line, field and the nearest name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from collectors.aws.spec import AwsResourceType
from controls.models import Check
from evidence.errors import DataError
from evidence.yaml_files import line_of, load_model, load_yaml

CHECK = """\
# a rule on one resource type
id: aws_s3_bucket_encrypted
title: S3 buckets encrypt new objects by default
control: encryption-at-rest
resource: aws_s3_bucket
severity: medium
pass: encryption.sse_algorithm <> 'NONE'
reason: "'default encryption is ' || encryption.sse_algorithm"
remediation: Set default encryption on the bucket.
parameters:
  days: {default: 90, about: how old a key may be}
examples:
  - {expect: pass, encryption: {sse_algorithm: AES256}}
  - {expect: fail, encryption: {}}
  - expect: not_evidenced
references: [https://docs.aws.amazon.com/]
"""

RESOURCE = """\
type: aws_s3_bucket
title: S3 bucket
service: s3
scope: global
list: {operation: list_buckets, items: Buckets}
id: "arn:{partition}:s3:::{Name}"
enrich:
  - operation: get_bucket_encryption
    params: {Bucket: $Name}
    absent: [ServerSideEncryptionConfigurationNotFoundError]
  - operation: get_bucket_acl
    params: {Bucket: $Name}
tags: {from: list, path: Tags}
facets:
  identity:
    about: the bucket as it is listed
    created: {type: timestamp, path: CreationDate}
  encryption:
    from: get_bucket_encryption
    sse_algorithm:
      type: text
      path: Rules[0].Algorithm
      absent: NONE
  acl:
    from: get_bucket_acl
    grants:
      type: list
      path: Grants
      fields:
        grantee: {type: text, path: Grantee.ID}
        permission: {type: text, path: Permission}
redact:
  - {operation: get_bucket_acl, path: Owner.DisplayName}
"""


def error_of(tmp_path: Path, text: str, model: type[BaseModel]) -> DataError:
    """Load `text` as `model` and return the error; its place is shortened to `LINE: field`."""
    file = tmp_path / "given.yaml"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        load_model(file, model)
    assert caught.value.where.startswith(f"{file}:"), "the file is named"
    caught.value.where = caught.value.where.removeprefix(f"{file}:")
    assert caught.value.mend
    return caught.value


def line_with(text: str, part: str) -> int:
    (number,) = (n for n, line in enumerate(text.splitlines(), start=1) if part in line)
    return number


def test_the_files_that_the_other_tests_spoil_are_right(tmp_path: Path) -> None:
    (tmp_path / "check.yaml").write_text(CHECK)
    (tmp_path / "resource.yaml").write_text(RESOURCE)
    assert load_model(tmp_path / "check.yaml", Check).parameters["days"].default == 90
    spec = load_model(tmp_path / "resource.yaml", AwsResourceType)
    assert spec.table_schema().facet_names == ("identity", "encryption", "acl")


# ------------------------------------------------------------------------------ misspelt fields

MISSPELT = [
    # model, text, what is written, what was meant, the line's mark, the field as it is named
    (Check, CHECK, "rationale_: x\nid:", "rationale", "rationale_:", "rationale_"),
    (Check, CHECK, "referenses:", "references", "referenses", "referenses"),
    (Check, CHECK, "severty:", "severity", "severty", "severty"),
    (Check, CHECK, "pas:", "pass", "pas:", "pas"),
    (Check, CHECK, "  days: {defualt:", "default", "defualt", "parameters.days.defualt"),
    (AwsResourceType, RESOURCE, "titel:", "title", "titel", "titel"),
    (AwsResourceType, RESOURCE, "lists: {operation:", "list", "lists:", "lists"),
    (AwsResourceType, RESOURCE, "tags: {form:", "from", "form:", "tags.form"),
    (AwsResourceType, RESOURCE, "    absnt: [Serv", "absent", "absnt", "enrich.0.absnt"),
    (
        AwsResourceType,
        RESOURCE,
        "list: {operation: list_buckets, itms:",
        "items",
        "itms",
        "list.itms",
    ),
    (
        AwsResourceType,
        RESOURCE,
        "      abset: NONE",
        "absent",
        "abset: NONE",
        "facets.encryption.sse_algorithm.abset",
    ),
    (
        AwsResourceType,
        RESOURCE,
        "        permission: {typ:",
        "type",
        "{typ:",
        "facets.acl.grants.fields.permission.typ",
    ),
    (
        AwsResourceType,
        RESOURCE,
        "  - {operation: get_bucket_acl, pth:",
        "path",
        "pth:",
        "redact.0.pth",
    ),
]


@pytest.mark.parametrize(
    ("model", "sound", "written", "meant", "mark", "field"),
    MISSPELT,
    ids=[f"{item[0].__name__}-{item[5]}" for item in MISSPELT],
)
def test_a_misspelt_field_is_named_with_its_line_and_the_nearest_name(
    tmp_path: Path,
    model: type[BaseModel],
    sound: str,
    written: str,
    meant: str,
    mark: str,
    field: str,
) -> None:
    misspelt = field.rsplit(".", maxsplit=1)[-1]
    original = written.replace(f"{misspelt}: x\n", "").replace(misspelt, meant)
    assert sound.count(original) == 1
    text = sound.replace(original, written)
    error = error_of(tmp_path, text, model)
    assert error.where == f"{line_with(text, mark)}: {field}"
    assert repr(misspelt) in error.what
    assert error.mend == f"Did you mean {meant!r}?"


def test_a_field_like_no_other_gets_no_guess(tmp_path: Path) -> None:
    error = error_of(tmp_path, CHECK + "zzz: 1\n", Check)
    assert error.where == f"{line_with(CHECK, 'references') + 1}: zzz"
    assert "Did you mean" not in error.mend


# ------------------------------------------------------------------------------- wrong values


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    error = error_of(tmp_path, CHECK.replace("control: encryption-at-rest\n", ""), Check)
    assert error.what == "the field 'control' is missing"
    assert error.where == "1: control"


def test_a_missing_field_inside_is_named_with_the_line_of_what_lacks_it(tmp_path: Path) -> None:
    text = CHECK.replace("- expect: not_evidenced", "- about: nothing was read")
    error = error_of(tmp_path, text, Check)
    assert error.what == "the field 'expect' is missing"
    assert error.where == f"{line_with(text, 'nothing was read')}: examples.2.expect"


@pytest.mark.parametrize(
    ("model", "sound", "right", "wrong", "field", "said"),
    [
        (Check, CHECK, "severity: medium", "severity: hihg", "severity", "'high'"),
        (Check, CHECK, "- {expect: fail,", "- {expect: failed,", "examples.1.expect", "'fail'"),
        (Check, CHECK, "id: aws_s3", "id: AWS-s3", "id", "lower-case letters"),
        (Check, CHECK, "title: S3 buckets", "title: [S3]  #", "title", "string"),
        (
            AwsResourceType,
            RESOURCE,
            "scope: global",
            "scope: regional",
            "scope",
            "'global' or 'region'",
        ),
        (AwsResourceType, RESOURCE, "path: Tags", "path: 'Tags['", "tags.path", "JMESPath"),
        (
            AwsResourceType,
            RESOURCE,
            "      type: text",
            "      type: string",
            "facets.encryption.sse_algorithm.type",
            "'text'",
        ),
        (
            AwsResourceType,
            RESOURCE,
            "path: Owner.DisplayName",
            "path: Owner..DisplayName",
            "redact.0.path",
            "empty step",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(
    tmp_path: Path,
    model: type[BaseModel],
    sound: str,
    right: str,
    wrong: str,
    field: str,
    said: str,
) -> None:
    assert sound.count(right) == 1
    text = sound.replace(right, wrong)
    error = error_of(tmp_path, text, model)
    assert error.where == f"{line_with(text, wrong)}: {field}"
    assert said in error.what


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("from: get_bucket_encryption", "from: get_bucket_policy", "get_bucket_policy"),
        ("operation: get_bucket_encryption", "operation: get_bucket_encryptoin", "encryptoin"),
        ("operation: get_bucket_encryption", "operation: delete_bucket", "DeleteBucket"),
        ("  identity:\n", "  region:\n", "region"),
        ("  identity:\n", "  Identity:\n", "Identity"),
        ("    grants:\n", "    Grants:\n", "Grants"),
    ],
)
def test_a_resource_type_that_contradicts_itself_says_what_does_not_fit(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    assert RESOURCE.count(right) == 1
    assert said in error_of(tmp_path, RESOURCE.replace(right, wrong), AwsResourceType).what


def test_how_many_more_errors_there_are_is_said(tmp_path: Path) -> None:
    text = CHECK.replace("severity: medium", "severity: hihg") + "zzz: 1\nyyy: 2\n"
    assert "and 2 more in this file" in error_of(tmp_path, text, Check).what


# ------------------------------------------------------------------------------------ the file


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("id: x\ntitle: a: b\n", 2),
        ("id: x\n\ttitle: a\n", 2),
        ('id: x\ntitle: "no end\n', 2),
        ("id: x\nexamples:\n  - {expect: pass\n", 3),
        ("id: x\n- title\n", 2),
        ("id: *nowhere\n", 1),
    ],
)
def test_what_is_not_yaml_is_named_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    error = error_of(tmp_path, text, Check)
    assert "not valid YAML" in error.what
    assert int(error.where) in (line, line + 1), "where it is, or where it is noticed"


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"- a\n- list\n", b"just text\n"])
def test_a_file_that_holds_no_fields_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "whole file" in error_of(tmp_path, content.decode(), Check).where


def test_a_file_that_is_not_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01id")
    for name in ("binary.yaml", "missing.yaml"):
        with pytest.raises(DataError) as caught:
            load_model(tmp_path / name, Check)
        assert name in caught.value.where


def test_yaml_cannot_make_python_objects(tmp_path: Path) -> None:
    (tmp_path / "evil.yaml").write_text("id: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(DataError, match="not valid YAML"):
        load_yaml(tmp_path / "evil.yaml")


@pytest.mark.parametrize(
    ("model", "text", "twice"),
    [
        (Check, CHECK + "pass: 'true'\n", "pass"),
        (
            AwsResourceType,
            RESOURCE.replace("  acl:\n", "  encryption:\n"),
            "encryption",
        ),
    ],
    ids=["a field", "a facet"],
)
def test_a_name_that_is_there_twice_is_refused_not_half_believed(
    tmp_path: Path, model: type[BaseModel], text: str, twice: str
) -> None:
    """YAML readers silently keep the last one: half of the file would be dead."""
    error = error_of(tmp_path, text, model)
    assert twice in str(error)


# ------------------------------------------------------------------------------- lines of fields


@pytest.mark.parametrize(
    ("path", "part"),
    [
        (["severity"], "severity: medium"),
        (["parameters", "days", "default"], "days: {default"),
        (["examples", 1, "expect"], "expect: fail"),
        (["examples", 2], "expect: not_evidenced"),
        (["references", 0], "references:"),
        (["parameters", "nothing of the kind"], "parameters:"),
        (["examples", 99], "examples:"),
    ],
)
def test_the_line_of_a_field_or_of_its_nearest_parent(
    tmp_path: Path, path: list[Any], part: str
) -> None:
    (tmp_path / "check.yaml").write_text(CHECK)
    assert line_of(tmp_path / "check.yaml", path) == line_with(CHECK, part)


def test_lines_are_those_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "check.yaml"
    file.write_text(CHECK)
    assert line_of(file, ["severity"]) == 6
    file.write_text("# one line more\n" + CHECK)
    assert line_of(file, ["severity"]) == 7

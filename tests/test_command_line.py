"""The command line as people meet it: what it says, what it exits with, what it leaves behind."""

from __future__ import annotations

import csv
import io
import stat
from pathlib import Path
from typing import Any

import pytest
from support_aws import Request
from support_cli import auditpack

SMALL = ("--type", "aws_s3_bucket", "--type", "aws_account", "--region", "us-east-1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, as a stranger has it."""
    here = tmp_path / "work"
    here.mkdir()
    return here


def test_help_is_quick_to_load_and_names_the_exit_codes(folder: Path) -> None:
    said = auditpack("--help", cwd=folder)
    assert said.code == 0
    assert "130 interrupted" in said.out
    heavy = "import sys, auditpack.cli; print([m for m in %r if m in sys.modules])"
    modules = ["boto3", "duckdb", "weasyprint", "pyhanko", "sqlglot"]
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", heavy % modules], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_init_makes_a_protected_key_and_a_configuration(folder: Path) -> None:
    said = auditpack(
        "init", "--organisation", 'Ex "A" Ltd', "--json", cwd=folder, AUDITPACK_KEY_PASSPHRASE="pw1"
    )
    assert said.code == 0, said.err
    key = folder / "keys/signing-key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "ENCRYPTED" in key.read_text()
    shown = auditpack("keys", "show", "--json", cwd=folder).json
    assert shown["fingerprint"] == said.json["fingerprint"]
    assert 'Ex \\"A\\" Ltd' in (folder / "auditpack.yaml").read_text()
    again = auditpack("init", cwd=folder)
    assert again.code == 2
    assert "set up already" in again.err


def test_a_wrong_passphrase_is_a_clear_error_before_anything_is_read(
    folder: Path, aws_environment: Any
) -> None:
    auditpack("init", cwd=folder, AUDITPACK_KEY_PASSPHRASE="right")
    said = auditpack("collect", *SMALL, cwd=folder, AUDITPACK_KEY_PASSPHRASE="wrong")
    assert said.code == 2
    assert "wrong passphrase" in said.err
    assert aws_environment.requests == []


def test_from_an_empty_folder_to_verified_findings(folder: Path, aws_environment: Any) -> None:
    collected = auditpack(
        "collect", "--provider", "aws", *SMALL, "--store", "ev", "--json", cwd=folder
    )
    assert collected.code == 0, collected.err
    assert collected.json["gaps"] == {}
    assert collected.json["resources"] == 5
    evaluated = auditpack("evaluate", "--store", "ev", "--json", cwd=folder)
    assert evaluated.code == 0, evaluated.err
    again = auditpack("evaluate", "--store", "ev", "--json", cwd=folder)
    assert again.json["findings"]["sha256"] == evaluated.json["findings"]["sha256"]
    assert again.json["assessment"] == evaluated.json["assessment"]
    exported = auditpack("export", "findings", "--store", "ev", "--format", "csv", cwd=folder)
    rows = list(csv.DictReader(io.StringIO(exported.out)))
    assert len(rows) == evaluated.json["findings"]["count"]
    wanted = {
        "check_id",
        "status",
        "severity",
        "reason",
        "provider",
        "account",
        "region",
        "resource_type",
        "resource_id",
        "snapshot",
        "captures",
        "control",
        "equivalents",
    }
    assert wanted <= set(rows[0])
    cited = next(row for row in rows if row["check_id"] == "aws_s3_bucket_encrypted")
    assert "prowler=s3_bucket_default_encryption" in cited["equivalents"]
    reference = cited["captures"].split(";")[0]
    shown = auditpack("show", reference, "--store", "ev", cwd=folder)
    assert shown.json["operation"] == "get_bucket_encryption"
    verified = auditpack("verify", "--store", "ev", "--json", cwd=folder)
    assert verified.code == 0
    assert verified.json["ok"] is True


def test_thresholds_have_their_exit_code(folder: Path, aws_environment: Any) -> None:
    auditpack("collect", *SMALL, "--store", "ev", cwd=folder)
    assert auditpack("evaluate", "--store", "ev", "--fail-under", "0", cwd=folder).code == 0
    assert auditpack("evaluate", "--store", "ev", "--fail-under", "99.9", cwd=folder).code == 3
    assert (
        auditpack("evaluate", "--store", "ev", "--fail-on", "informational", cwd=folder).code == 3
    )
    assert auditpack("score", "--store", "ev", "--fail-under", "99.9", cwd=folder).code == 3
    later = auditpack("evaluate", "--store", "ev", "--at", "2099-12-31", "--json", cwd=folder)
    assert (later.json["findings"]["pass"], later.json["findings"]["fail"]) == (0, 0)
    assert auditpack("evaluate", "--store", "ev", "--at", "soon", cwd=folder).code == 2
    auditpack("evaluate", "--store", "ev", cwd=folder)
    said = auditpack("score", "--store", "ev", "--json", cwd=folder)
    assert said.code == 0
    totals = [
        sum(sum(row["findings"].values()) for row in said.json[f"by_{part}"])
        for part in ("control", "account", "owner", "severity")
    ]
    assert len(set(totals)) == 1, "every breakdown holds every finding once"
    assert "Score = satisfied" in said.json["formula"]["text"]
    shown = auditpack("score", "--store", "ev", "--by", "family", cwd=folder)
    assert "CC6  Logical and physical access" in shown.out


def test_strict_says_by_its_exit_code_that_there_are_gaps(
    folder: Path, aws_environment: Any
) -> None:
    aws_environment.refuse = lambda request: (
        (403, "AccessDenied", "no") if "encryption" in request.operation else None
    )
    said = auditpack("collect", *SMALL, "--store", "ev", "--strict", cwd=folder)
    assert said.code == 4
    assert "denied" in said.out


def test_verify_names_the_file_that_was_changed(folder: Path, aws_environment: Any) -> None:
    auditpack("collect", *SMALL, "--store", "ev", cwd=folder)
    segment = next((folder / "ev/snapshots").rglob("aws_s3_bucket.jsonl.zst"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    said = auditpack("verify", "--store", "ev", cwd=folder)
    assert said.code == 5
    assert "aws_s3_bucket.jsonl.zst" in said.out
    quiet = auditpack("verify", "--store", "ev", "-q", cwd=folder)
    assert quiet.code == 5
    assert "aws_s3_bucket.jsonl.zst" in quiet.err


def test_wrong_credentials_are_named_as_such(folder: Path, aws_environment: Any) -> None:
    aws_environment.refuse = lambda request: (
        (403, "InvalidClientTokenId", "The security token included in the request is invalid")
        if request.service == "sts"
        else None
    )
    said = auditpack("collect", *SMALL, "--store", "ev", cwd=folder)
    assert said.code == 2
    assert "does not accept the credentials" in said.err
    assert "mend:" in said.err
    assert "Traceback" not in said.err
    assert not (folder / "ev/snapshots").exists()


def test_no_credentials_are_named_as_such(
    folder: Path, aws_environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    said = auditpack("collect", *SMALL, "--store", "ev", cwd=folder)
    assert said.code == 2
    assert "no AWS credentials" in said.err


def test_an_endpoint_that_is_not_there_is_found_out_in_seconds(
    folder: Path, aws_environment: Any
) -> None:
    said = auditpack(
        "collect", *SMALL, cwd=folder, AWS_ENDPOINT_URL="http://127.0.0.1:9", timeout=40
    )
    assert said.code == 1
    assert "could not be reached" in said.err
    assert "AWS_ENDPOINT_URL" in said.err


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("AWS_PROFILE", "no-such-profile", "no-such-profile"),
        ("AWS_ENDPOINT_URL", "not-a-url", "Correct AWS_ENDPOINT_URL"),
    ],
)
def test_a_wrong_setting_of_the_sdk_is_a_clear_error(
    folder: Path, aws_environment: Any, variable: str, value: str, expected: str
) -> None:
    said = auditpack("collect", *SMALL, cwd=folder, **{variable: value})
    assert said.code == 2
    assert expected in said.err
    assert "Traceback" not in said.err


def test_a_region_that_does_not_exist_is_refused_with_the_nearest_name(
    folder: Path, aws_environment: Any
) -> None:
    said = auditpack("collect", "--region", "us-esat-1", cwd=folder)
    assert said.code == 2
    assert "Did you mean us-east-1?" in said.err
    assert aws_environment.requests == []


def test_another_account_than_expected_is_refused(folder: Path, aws_environment: Any) -> None:
    said = auditpack("collect", *SMALL, "--account", "999999999999", cwd=folder)
    assert said.code == 2
    assert "belong to account 123456789012" in said.err


def test_a_refused_identity_still_collects_what_can_be_read(
    folder: Path, aws_environment: Any
) -> None:
    def refuse(request: Request) -> tuple[int, str, str] | None:
        return (403, "AccessDenied", "no") if request.service == "sts" else None

    aws_environment.refuse = refuse
    said = auditpack("collect", *SMALL, "--store", "ev", "--json", cwd=folder)
    assert said.code == 0, said.err
    assert said.json["accounts"] == ["unknown"]
    named = auditpack(
        "collect", *SMALL, "--account", "123456789012", "--store", "ev", "--json", cwd=folder
    )
    assert named.json["accounts"] == ["123456789012"]


def own(folder: Path, kind: str, name: str, text: str) -> None:
    """Write one of the user's own files."""
    file = folder / "auditpack.d" / kind / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


OWN_CHECK = """\
id: own_bucket_versioned
title: Our buckets keep versions
control: data-versioning
resource: aws_s3_bucket
severity: low
pass: {condition}
reason: "'versioning is ' || versioning.status"
remediation: Switch versioning on.
examples:
  - {{expect: pass, versioning: {{status: Enabled}}}}
  - {{expect: fail, versioning: {{}}}}
  - {{expect: not_evidenced}}
"""


def test_a_check_is_added_by_adding_one_file(folder: Path, aws_environment: Any) -> None:
    text = OWN_CHECK.format(condition="versioning.status in ('Enabled', 'Active')")
    own(folder, "checks", "own_bucket_versioned", text)
    assert len(text.splitlines()) < 20
    assert auditpack("lint", cwd=folder).code == 0
    auditpack("collect", *SMALL, cwd=folder)
    auditpack("evaluate", cwd=folder)
    said = auditpack("export", "findings", "--format", "json", cwd=folder)
    found = [row for row in said.json if row["check_id"] == "own_bucket_versioned"]
    assert sorted(row["status"] for row in found) == ["fail", "fail", "fail", "pass"]


def test_an_unknown_column_is_named_with_file_line_and_nearest_name(folder: Path) -> None:
    own(
        folder,
        "checks",
        "own_bucket_versioned",
        OWN_CHECK.format(condition="versioning.statuss = 'Enabled'"),
    )
    said = auditpack("lint", cwd=folder)
    assert said.code == 2
    assert "own_bucket_versioned.yaml:6: pass" in said.out
    assert "did you mean 'versioning.status'?" in said.out


def test_a_broken_yaml_file_is_named_with_its_line(folder: Path) -> None:
    own(folder, "checks", "broken", "id: broken\ntitle: [unclosed\nseverity: low\n")
    said = auditpack("lint", cwd=folder)
    assert said.code == 2
    assert "broken.yaml:3" in said.err
    assert "not valid YAML" in said.err


def test_a_check_that_fails_the_gate_judges_nothing(folder: Path, aws_environment: Any) -> None:
    own(
        folder,
        "checks",
        "own_bucket_versioned",
        OWN_CHECK.format(condition="coalesce(versioning.status, 'Enabled') = 'Enabled'"),
    )
    auditpack("collect", *SMALL, cwd=folder)
    said = auditpack("evaluate", cwd=folder)
    assert said.code == 2
    assert "coalesce" in said.err


def test_a_resource_type_that_would_change_something_is_refused(folder: Path) -> None:
    own(
        folder,
        "resources",
        "aws_bad",
        "type: aws_bad\ntitle: Bad\nservice: s3\nscope: global\n"
        "list: {operation: delete_bucket, items: Buckets}\nid: $Name\n"
        "facets: {identity: {created: {type: text, path: Name, about: x}}}\n",
    )
    said = auditpack("lint", cwd=folder)
    assert said.code == 2
    assert "s3:DeleteBucket is not a reading operation" in said.err


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("aws_s3_bucket_encrypted", "encryption.sse_algorithm"),
        ("encryption-at-rest", "aws_s3_bucket_encrypted"),
        ("SOC2:CC6.1", "Logical"),
        ("cis_aws_7.0:2.4", "root"),
        ("aws_s3_bucket", "get_bucket_encryption"),
    ],
)
def test_explain_tells_about_anything_by_its_name(folder: Path, name: str, expected: str) -> None:
    said = auditpack("explain", name, cwd=folder)
    assert said.code == 0, said.err
    assert expected.lower() in said.out.lower()


def test_explain_of_something_unknown_suggests_the_nearest(folder: Path) -> None:
    said = auditpack("explain", "aws_s3_bucket_encryptd", cwd=folder)
    assert said.code == 2
    assert "aws_s3_bucket_encrypted" in said.err


def test_a_store_that_is_another_folder_is_not_written_into(
    folder: Path, aws_environment: Any
) -> None:
    (folder / "photos").mkdir()
    (folder / "photos/cat.jpg").write_bytes(b"cat")
    said = auditpack("collect", *SMALL, "--store", "photos", cwd=folder)
    assert said.code == 1
    assert "not an evidence store" in said.err
    assert [path.name for path in (folder / "photos").iterdir()] == ["cat.jpg"]


def test_the_examples_are_sound() -> None:
    examples = Path(__file__).parent.parent / "examples"
    said = auditpack("lint", "--json", cwd=examples)
    assert said.code == 0, said.out
    shown = auditpack("explain", "example_bucket_owner_tagged", "--json", cwd=examples)
    assert shown.json["check"] == "example_bucket_owner_tagged"

"""Stores for tests of reports: a sealed snapshot and assessment, built without any cloud.

Captures, rows, gaps and units are written with `evidence.units.UnitWriter`, as a collector does,
and judged by a few checks of their own, so that these tests do not depend on the catalogue.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support_store import sealer_of

from controls.assessment import Assessment, assess
from controls.catalogue import BUILT_IN, Catalogue
from controls.models import Check, Control, Framework
from evidence.capture import Exchange, Redaction, capture_line, parameters_text
from evidence.keys import SigningKey, make_signing_key
from evidence.outcome import Gap, Outcome
from evidence.schema import Facet, Field, TableSchema
from evidence.sealing import Sealer
from evidence.snapshot import Snapshot, SnapshotRun
from evidence.store import Store
from evidence.units import UnitKey, UnitRecord, UnitWriter
from reports.view import ReportView, build_view

NOW = datetime.datetime(2026, 11, 24, 9, 0, tzinfo=datetime.UTC)
STARTED = "2026-11-24T09:12:44Z"
FINISHED = "2026-11-24T09:20:03Z"
PACK_SIGNED = "2027-01-08T14:05:09Z"
SNAPSHOT = "20261124T091244Z-4f2c9a"

BUCKET = TableSchema(
    "aws_s3_bucket",
    "aws",
    "global",
    (
        Facet("encryption", (Field("algorithm", "text", absent="NONE"),), ("get_encryption",)),
        Facet("versioning", (Field("status", "text", absent="Disabled"),), ("get_versioning",)),
    ),
    title="S3 bucket",
    native_type="AWS::S3::Bucket",
    service="s3",
)
QUEUE = TableSchema(
    "aws_sqs_queue",
    "aws",
    "region",
    (Facet("attributes", (Field("encrypted", "boolean", absent=False),), ("get_attributes",)),),
    title="SQS queue",
    service="sqs",
)
SCHEMAS = {schema.resource_type: schema for schema in (BUCKET, QUEUE)}

_EXAMPLES = {
    "encryption": [
        {"expect": "pass", "encryption": {"algorithm": "AES256"}},
        {"expect": "fail", "encryption": {}},
        {"expect": "not_evidenced"},
    ],
    "versioning": [
        {"expect": "pass", "versioning": {"status": "Enabled"}},
        {"expect": "fail", "versioning": {}},
        {"expect": "not_evidenced"},
    ],
    "attributes": [
        {"expect": "pass", "attributes": {"encrypted": True}},
        {"expect": "fail", "attributes": {}},
        {"expect": "not_evidenced"},
    ],
}


def check(name: str, facet: str, rule: str, reason: str, **more: Any) -> Check:
    """Return a check with examples that pass the gate."""
    resource = "aws_sqs_queue" if facet == "attributes" else "aws_s3_bucket"
    return Check.model_validate(
        {
            "id": name,
            "title": f"Title of {name}",
            "control": "encryption-at-rest",
            "resource": resource,
            "severity": "high",
            "pass": rule,
            "reason": reason,
            "rationale": "Whoever gets at the storage, or at a copy of it, could read the data.",
            "remediation": "Switch it on: in the console under Properties, or in Terraform.",
            "examples": _EXAMPLES[facet],
            **more,
        }
    )


CHECKS = (
    check(
        "bucket_encrypted",
        "encryption",
        "encryption.algorithm in ('AES256', 'aws:kms')",
        "'default encryption is ' || encryption.algorithm",
        title="S3 buckets encrypt new objects by default",
        severity="critical",
        equivalents={"demo": "1.1"},
    ),
    check(
        "bucket_versioned",
        "versioning",
        "versioning.status = 'Enabled'",
        "'versioning is ' || versioning.status",
        title="S3 buckets keep old versions of objects",
        control="backup",
        severity="medium",
        equivalents={"demo": ("1.2", "2.1")},
    ),
    check(
        "queue_encrypted",
        "attributes",
        "attributes.encrypted",
        "'the queue keeps messages in the clear'",
        title="SQS queues encrypt their messages",
        severity="low",
        equivalents={"demo": "1.1"},
    ),
)

CONTROLS = {
    name: Control.model_validate(
        {
            "id": name,
            "title": title,
            "domain": "data",
            "objective": "Why it matters.",
            "testing": "How it is tested.",
            "frequency": "continuous",
            "owner": "platform team",
            "manual_evidence": [{"type": "policy", "about": f"Policy on: {title}"}],
        }
    )
    for name, title in {
        "encryption-at-rest": "Data at rest is encrypted",
        "backup": "Data is backed up",
        "access-review": "Owners review access at regular intervals",
    }.items()
}

DEMO_FRAMEWORK = {
    "id": "demo",
    "title": "Demo Framework",
    "version": "1.0",
    "publisher": "Nobody",
    "source": "https://example.org/demo",
    "about": "A framework for tests.",
    "groups": [{"id": "1", "title": "Data"}, {"id": "2", "title": "People"}],
    "requirements": [
        {
            "id": "1.1",
            "title": "Data is encrypted",
            "group": "1",
            "controls": ["encryption-at-rest"],
        },
        {"id": "1.2", "title": "Data is kept", "group": "1", "controls": ["backup"]},
        {"id": "2.1", "title": "Access is reviewed", "group": "2", "controls": ["access-review"]},
    ],
}


@dataclass(frozen=True)
class Bucket:
    """A bucket of the estate; None for a facet that could not be read."""

    name: str
    algorithm: str | None = "AES256"
    versioning: str | None = "Enabled"
    owner: str = ""


@dataclass(frozen=True)
class Built:
    """What was built: everything that a report needs."""

    store: Store
    key: SigningKey
    snapshot: Snapshot
    assessment: Assessment

    @property
    def sealer(self) -> Sealer:
        """Seal packs with the key of the store, at `PACK_SIGNED`."""
        return sealer_of(self.key, PACK_SIGNED)

    def view(self, organisation: str = "Halden Labs") -> ReportView:
        """Return the view of the assessment."""
        return build_view(
            self.assessment,
            self.snapshot,
            organisation=organisation,
            period=("2026-10-01", "2026-12-31"),
            tool_version="0.1.0",
            signer=self.key.certificate.subject,
            fingerprint=self.key.certificate.fingerprint,
        )


def build_store(
    root: Path,
    buckets: Sequence[Bucket],
    *,
    account: str = "111122223333",
    account_name: str = "production",
    checks: Sequence[Check] = CHECKS,
    queues_denied: bool = True,
    redact: bool = False,
) -> Built:
    """Build a store with one sealed snapshot and one sealed assessment."""
    store = Store.open(root, create=True)
    key = make_signing_key("Halden Labs", NOW)
    intent = {
        "started": STARTED,
        "organisation": "Halden Labs",
        "scope": {"accounts": [{"id": account, "name": account_name}]},
    }
    run = SnapshotRun.start(store, SNAPSHOT, intent)
    _write_buckets(run, account, buckets, redact=redact)
    _write_queues(run, account, denied=queues_denied, redact=redact)
    sealer = sealer_of(key, FINISHED)
    run.seal(list(SCHEMAS.values()), FINISHED, sealer)
    snapshot = Snapshot.open(store)
    catalogue = _catalogue(checks)
    assessment = assess(
        store, snapshot, catalogue, SCHEMAS, ["demo"], sealer, owner_tags=("Owner",)
    )
    return Built(store, key, snapshot, assessment)


def _catalogue(checks: Sequence[Check]) -> Catalogue:
    framework = Framework.model_validate({**DEMO_FRAMEWORK, "benchmark": "demo"})
    by_id = {item.id: item for item in sorted(checks, key=lambda item: item.id)}
    here = BUILT_IN / "library" / "backup.yaml"  # any file: only errors would name it
    files = {("checks", name): here for name in by_id}
    return Catalogue(by_id, {}, CONTROLS, {"demo": framework}, files)


def _write_buckets(
    run: SnapshotRun, account: str, buckets: Sequence[Bucket], *, redact: bool
) -> None:
    writer = UnitWriter(run.folder, UnitKey("aws", account, "global", "aws_s3_bucket"))
    listing = _keep(writer, "list_buckets", "{}", b"<Buckets/>", redact=redact)
    gaps = []
    for bucket in buckets:
        arn = f"arn:aws:s3:::{bucket.name}"
        errors, captures = {}, {}
        facets: dict[str, Any] = {}
        for facet, field, value in (
            ("encryption", "algorithm", bucket.algorithm),
            ("versioning", "status", bucket.versioning),
        ):
            body = f"<{facet}>{value}</{facet}>".encode()
            captures[facet] = [_keep(writer, f"get_{facet}", f'{{"Bucket":"{arn}"}}', body)]
            facets[facet] = None if value is None else {field: value}
            if value is None:
                errors[facet] = "denied AccessDenied"
                gaps.append(_gap(account, bucket, arn, facet, captures[facet]))
        writer.write_row(
            {
                "provider": "aws",
                "account": account,
                "region": "global",
                "id": arn,
                "name": bucket.name,
                "tags": {"Owner": bucket.owner} if bucket.owner else {},
                **facets,
                "errors": errors,
                "captures": captures,
            }
        )
    calls = {"list_buckets": 1, "get_encryption": len(buckets), "get_versioning": len(buckets)}
    writer.commit(
        UnitRecord(
            writer.key,
            Outcome.OK,
            "",
            len(buckets),
            writer.records,
            int(redact),
            (listing,),
            calls,
            tuple(gaps),
        )
    )


def _gap(account: str, bucket: Bucket, arn: str, facet: str, captures: list[str]) -> Gap:
    detail = f"AccessDenied: not authorized to perform s3:Get{facet.capitalize()} on {bucket.name}"
    return Gap(
        "aws",
        account,
        "global",
        "aws_s3_bucket",
        f"get_{facet}",
        "denied",
        detail,
        arn,
        facet,
        tuple(captures),
    )


def _write_queues(run: SnapshotRun, account: str, *, denied: bool, redact: bool) -> None:
    for region in ("eu-west-1", "us-east-1"):
        writer = UnitWriter(run.folder, UnitKey("aws", account, region, "aws_sqs_queue"))
        reference = _keep(writer, "list_queues", "{}", b"<Queues/>", region=region, redact=redact)
        outcome = Outcome.DENIED if denied and region == "eu-west-1" else Outcome.OK
        detail = "AccessDenied" if outcome is Outcome.DENIED else ""
        gaps = [Gap("aws", account, region, "aws_sqs_queue", "list_queues", outcome.value, detail)]
        writer.commit(
            UnitRecord(
                writer.key,
                outcome,
                detail,
                0,
                writer.records,
                0,
                (reference,),
                {"list_queues": 1},
                tuple(gaps) if detail else (),
            )
        )


def _keep(
    writer: UnitWriter,
    operation: str,
    parameters: str,
    body: bytes,
    *,
    region: str = "global",
    redact: bool = False,
) -> str:
    exchange = Exchange(
        operation=operation,
        parameters={},
        region=region,
        url="https://s3.amazonaws.com/",
        attempt=1,
        started=STARTED,
        status=200,
        request_id="4442587FB7D0A2F9",
        cloud_date="Tue, 24 Nov 2026 09:12:45 GMT",
        body=body,
    )
    redactions: Iterator[Redaction] | list[Redaction] = []
    if redact:
        redactions = [Redaction("Secret", "declared", "ab" * 32)]
    line = capture_line(
        exchange,
        provider="aws",
        account=writer.key.account,
        service="s3",
        redacted_body='{"Secret":null}' if redact else None,
        redactions=list(redactions),
        parameters=parameters_text({}) if parameters == "{}" else parameters,
    )
    return writer.keep_capture(line)

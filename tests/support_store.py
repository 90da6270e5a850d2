"""A real store with sealed snapshots, made without any cloud: units are written directly.

`sealed_store(path)` is what most tests want. Each account has one unit of S3 buckets (listed, with
a capture of the listing and one a bucket) and one of EBS volumes in us-east-1 that was denied, so a
snapshot has captures, rows, redactions and a gap. Of each account's buckets the first is not
encrypted and the last one's encryption could not be read. The same arguments give the same
evidence; only the key differs.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any

from evidence.canonical import canonical_json
from evidence.capture import Exchange, Redaction, capture_line
from evidence.errors import StoreError
from evidence.files import write_atomically
from evidence.keys import SigningKey, make_signing_key
from evidence.objects import DISCARDABLE, ObjectExistsError, ObjectInfo, ObjectMissingError
from evidence.outcome import Gap, Outcome
from evidence.schema import Facet, Field, TableSchema
from evidence.sealing import Sealer
from evidence.snapshot import SnapshotRun
from evidence.store import Store
from evidence.typing_rows import RowValidator
from evidence.units import GLOBAL_REGION, UnitKey, UnitRecord, UnitWriter
from evidence.workspaces import workspace

STARTED = "2026-03-01T06:00:00Z"
FINISHED = "2026-03-01T06:05:00Z"
FIRST_SNAPSHOT = "20260301T060000Z-000001"

BUCKETS = TableSchema(
    "aws_s3_bucket",
    "aws",
    "global",
    (
        Facet("identity", (Field("created", "timestamp"),), ("list_buckets",)),
        Facet(
            "encryption",
            (
                Field("sse_algorithm", "text", absent="NONE"),
                Field("kms_key", "text", absent=""),
                Field("bucket_key", "boolean", absent=False),
            ),
            ("get_bucket_encryption",),
        ),
        Facet("policy", (Field("statements", "policy", absent=[]),), ("get_bucket_policy",)),
    ),
    "S3 bucket",
    "AWS::S3::Bucket",
    "s3",
)
"""A short form of the built-in type, with its names; pass the whole one where it matters."""

VOLUMES = TableSchema(
    "aws_ebs_volume",
    "aws",
    "region",
    (Facet("encryption", (Field("encrypted", "boolean", absent=False),), ("describe_volumes",)),),
    "EBS volume",
    "AWS::EC2::Volume",
    "ec2",
)


def sealer_of(key: SigningKey, moment: str = FINISHED) -> Sealer:
    """Return a sealer with `key` whose clock stands still at `moment`."""
    return Sealer(key, lambda: datetime.datetime.fromisoformat(moment))


def account_id(number: int) -> str:
    """The id of account `number` (from 1): its digit, twelve times."""
    return str(number) * 12


def new_key(organisation: str = "Example Ltd") -> SigningKey:
    """Make a signing key whose certificate is valid on the day of the snapshots."""
    return make_signing_key(organisation, datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC))


def capture(account: str, operation: str, body: bytes, *, redacted: str | None = None) -> bytes:
    """Return one capture line; `redacted` is the body to keep instead of `body`."""
    exchange = Exchange(
        operation=operation,
        parameters={},
        region="us-east-1",
        url="https://s3.us-east-1.amazonaws.com/",
        attempt=1,
        started=STARTED,
        status=200,
        request_id=f"{account}-{operation}",
        cloud_date="Sun, 01 Mar 2026 06:00:00 GMT",
        body=body,
    )
    found = [Redaction("Owner", "declared", "0" * 64)] if redacted is not None else []
    return capture_line(
        exchange,
        provider="aws",
        account=account,
        service="s3",
        redacted_body=redacted,
        redactions=found,
        parameters="{}",
    )


def write_buckets(
    run: SnapshotRun, account: str, buckets: int = 5, schema: TableSchema = BUCKETS
) -> UnitRecord:
    """Collect and commit the S3 buckets of one account into an open run."""
    key = UnitKey("aws", account, GLOBAL_REGION, schema.resource_type)
    writer = UnitWriter(run.folder, key)
    names = [f"bucket-{account[0]}-{index:03}" for index in range(buckets)]
    listing = canonical_json({"Buckets": [{"Name": name} for name in names]})
    listed = writer.keep_capture(capture(account, "list_buckets", listing, redacted="{}"))
    gaps = []
    for index, name in enumerate(names):
        answer = canonical_json({"Bucket": name, "Encryption": index > 0})
        reference = writer.keep_capture(capture(account, "get_bucket_encryption", answer))
        row = _bucket_row(schema, account, name, listed, reference)
        if index == 0:
            row["encryption"]["sse_algorithm"] = "NONE"
        elif index == len(names) - 1:
            gaps.append(_unread_encryption(row, key, reference))
        RowValidator(schema).clean(row)
        writer.write_row(row)
    calls = {"list_buckets": 1, "get_bucket_encryption": buckets}
    record = UnitRecord(
        key, Outcome.OK, "", buckets, writer.records, 1, (listed,), calls, tuple(gaps)
    )
    writer.commit(record)
    return record


def write_denied_volumes(run: SnapshotRun, account: str) -> UnitRecord:
    """Commit the EBS volumes of one account as a listing that was denied."""
    key = UnitKey("aws", account, "us-east-1", VOLUMES.resource_type)
    writer = UnitWriter(run.folder, key)
    body = b"<Error><Code>UnauthorizedOperation</Code></Error>"
    listed = writer.keep_capture(capture(account, "describe_volumes", body))
    detail = "UnauthorizedOperation: not authorized"
    gap = Gap(
        "aws",
        account,
        "us-east-1",
        VOLUMES.resource_type,
        "describe_volumes",
        "denied",
        detail,
        captures=(listed,),
    )
    calls = {"describe_volumes": 1}
    record = UnitRecord(key, Outcome.DENIED, detail, 0, 1, 0, (listed,), calls, (gap,))
    writer.commit(record)
    return record


def start_run(store: Store, snapshot_id: str = FIRST_SNAPSHOT) -> SnapshotRun:
    """Begin a run, with an intent like the one that `auditpack collect` writes."""
    scope = {"provider": "aws", "types": [BUCKETS.resource_type, VOLUMES.resource_type]}
    intent = {"organisation": "Example Ltd", "started": STARTED, "tool": "tests", "scope": scope}
    return SnapshotRun.start(store, snapshot_id, intent)


def add_snapshot(
    store: Store,
    key: SigningKey,
    snapshot_id: str,
    *,
    accounts: int = 2,
    buckets: int = 5,
    schemas: Sequence[TableSchema] = (BUCKETS, VOLUMES),
) -> Path:
    """Collect and seal one more snapshot; return its folder. `schemas[0]` is that of buckets."""
    run = start_run(store, snapshot_id)
    for number in range(1, accounts + 1):
        write_buckets(run, account_id(number), buckets, schemas[0])
        write_denied_volumes(run, account_id(number))
    return run.seal(schemas, FINISHED, sealer_of(key))


def sealed_store(
    path: Path,
    *,
    accounts: int = 2,
    buckets: int = 5,
    schemas: Sequence[TableSchema] = (BUCKETS, VOLUMES),
) -> tuple[Store, SigningKey, str]:
    """Make a store at `path` with one sealed snapshot; return it, the key and the snapshot's id."""
    store, key = Store.open(path, create=True), new_key()
    options: dict[str, Any] = {"accounts": accounts, "buckets": buckets, "schemas": schemas}
    add_snapshot(store, key, FIRST_SNAPSHOT, **options)
    return store, key, FIRST_SNAPSHOT


def seal_small(
    store: Store, sealer: Sealer, kind: str, name: str, predicate: dict[str, Any] | None = None
) -> Path:
    """Seal a folder with one small file, as the rooms above seal theirs; return the folder."""
    with workspace(store.incomplete(), f"{kind}-{name}") as folder:
        content = canonical_json({"is": kind, "id": name})
        write_atomically(folder / "sealed" / "content.json", content)
        return sealer.seal(store, folder / "sealed", kind, name, predicate or {})


@dataclass
class MemoryObjects:
    """The objects of a store in memory, as a bucket keeps them: see `evidence.objects.Objects`.

    `creates` counts what was created; once it reaches `breaks_after`, creating fails.
    """

    found: dict[str, bytes] = dataclass_field(default_factory=dict)
    breaks_after: int | None = None
    creates: int = 0
    location: str = "memory://evidence"

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield what begins with `prefix`, sorted."""
        for name in sorted(self.found):
            if name.startswith(prefix):
                yield ObjectInfo(name, len(self.found[name]))

    def read(self, name: str) -> bytes:
        """Return an object's bytes."""
        if name not in self.found:
            raise ObjectMissingError("this is not in the store", where=name)
        return self.found[name]

    def fetch(self, name: str, target: Path) -> None:
        """Copy an object into a file."""
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.read(name))

    def create(self, name: str, source: bytes | Path) -> None:
        """Create an object once."""
        if self.breaks_after is not None and self.creates >= self.breaks_after:
            raise StoreError("the connection was lost", where=name)
        if name in self.found:
            raise ObjectExistsError("another writer created this first", where=name)
        self.found[name] = source if isinstance(source, bytes) else source.read_bytes()
        self.creates += 1

    def discard(self, name: str) -> None:
        """Remove what is not evidence."""
        assert name.startswith(DISCARDABLE)
        self.found.pop(name, None)


def _bucket_row(
    schema: TableSchema, account: str, name: str, listed: str, reference: str
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "provider": "aws",
        "account": account,
        "region": "us-east-1",
        "id": f"arn:aws:s3:::{name}",
        "name": name,
        "tags": {"Owner": f"team-{account[0]}"},
        "errors": {},
        "captures": {"identity": [listed]},
    }
    for facet in schema.facets:
        row[facet.name] = {field.name: field.absent for field in facet.fields}
        row["captures"].setdefault(facet.name, [reference])
    row["identity"]["created"] = "2026-01-15T08:00:00"
    row["encryption"]["sse_algorithm"] = "AES256"
    return row


def _unread_encryption(row: dict[str, Any], key: UnitKey, reference: str) -> Gap:
    detail = "AccessDenied: not authorized to perform s3:GetEncryptionConfiguration"
    row["encryption"] = None
    row["errors"]["encryption"] = f"denied: get_bucket_encryption {detail}"
    return Gap(
        key.provider,
        key.account,
        key.region,
        key.resource_type,
        "get_bucket_encryption",
        "denied",
        detail,
        resource_id=row["id"],
        facet="encryption",
        captures=(reference,),
    )

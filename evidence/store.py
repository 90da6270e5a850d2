"""The store: sealed snapshots, assessments and packs, the log over them, and the open runs.

auditpack-store.json        marks the place and its format
certificates/<fp>.pem       the certificates that manifests and the log were signed with
log/<N>.dsse.json           record N of the append-only log (see `evidence.log`)
revocations/<fp>.json       certificates that do not count any more, from when on, and why
snapshots/<id>/             sealed: captures, tables, gaps, manifest
assessments/<id>/           sealed: findings, scores, the catalogue used, manifest
packs/<id>/                 sealed: the PDF and what is attached to it, manifest
incomplete/                 runs that are not sealed: never taken for evidence

What the log does not name is not evidence, whatever lies in the folders.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from evidence.canonical import canonical_json
from evidence.errors import StoreError, VerificationError
from evidence.files import evidence_not_written, sha256_of_file, sync_folder
from evidence.keys import Certificate
from evidence.log import Log, LogRecord
from evidence.manifest import MANIFEST_NAME, Manifest, check_files, files_below, read_manifest
from evidence.objects import (
    FolderObjects,
    ObjectExistsError,
    ObjectMissingError,
    Objects,
    create_or_read,
)
from evidence.workspaces import workspace

STORE_MARK = "auditpack-store.json"
MARK_CONTENT = canonical_json({"format": 2, "is": "an auditpack evidence store"})
"""What the mark of a store says, byte for byte."""

SEALED_KINDS = {
    "snapshot": "snapshots",
    "derivation": "derivations",
    "assessment": "assessments",
    "attestation": "attestations",
    "decision": "decisions",
    "pack": "packs",
}
"""Kind of a sealed folder -> the store's folder for that kind."""

_MADE_BY = {"snapshot": "collect", "assessment": "evaluate", "pack": "pack"}


@dataclass(frozen=True)
class Store:
    """A store. `root` is a local folder: the store itself, or the working copy of a remote one."""

    root: Path
    objects: Objects
    log: Log = field(compare=False, repr=False)
    _checked: set[Path] = field(default_factory=set, compare=False, repr=False)

    @classmethod
    def open(cls, root: Path, *, create: bool = False) -> Store:
        """Open the local store at `root`; with `create`, make it in an empty or missing folder.

        Raises StoreError when the folder is something else, or cannot be written.
        """
        if create:
            _require_empty(root)
        return cls.open_objects(FolderObjects(root), root, create=create)

    @classmethod
    def open_objects(cls, objects: Objects, work: Path, *, create: bool = False) -> Store:
        """Open the store that `objects` hold, with `work` as the folder for runs and copies.

        Raises StoreError when there is none (and `create` is not set), or of another format.
        """
        try:
            mark = objects.read(STORE_MARK)
        except ObjectMissingError:
            if not create:
                raise StoreError(
                    "there is no evidence store here",
                    where=objects.location,
                    mend="Run `auditpack collect` first, or name the right one with --store.",
                ) from None
            mark = create_or_read(objects, STORE_MARK, MARK_CONTENT)
        if mark != MARK_CONTENT:
            raise StoreError(
                "this store has a format that this auditpack does not know",
                where=f"{objects.location}, {STORE_MARK}",
                mend="Use the auditpack version that made it, or a newer one.",
            )
        return cls.unchecked(objects, work)

    @classmethod
    def unchecked(cls, objects: Objects, work: Path) -> Store:
        """Return the store without looking at its mark: for verification, which looks itself."""
        return cls(work, objects, Log(objects))

    @property
    def is_local(self) -> bool:
        """Whether the store is the folder `root` itself."""
        return isinstance(self.objects, FolderObjects)

    def folder(self, kind: str) -> Path:
        """Return the local folder for sealed things of `kind`."""
        return self.root / SEALED_KINDS[kind]

    def incomplete(self) -> Path:
        """Return the folder of runs that are not sealed."""
        return self.root / "incomplete"

    def sealed(self, kind: str) -> list[str]:
        """Return the ids of what the log names of `kind`, in the order of sealing."""
        return [record.id for record in self.log.records() if record.kind == kind]

    def latest(self, kind: str) -> str:
        """Return the id of the `kind` that was sealed last. Raises StoreError if there is none."""
        names = self.sealed(kind)
        if not names:
            command = _MADE_BY.get(kind, "")
            raise StoreError(
                f"the store holds no sealed {kind}",
                where=self.objects.location,
                mend=f"Run `auditpack {command}` first." if command else "",
            )
        return names[-1]

    def record(self, kind: str, name: str = "") -> LogRecord:
        """Return the log's record of one sealed thing; empty `name` means the newest.

        Raises StoreError when there is no such one.
        """
        record = self.log.find(kind, name or self.latest(kind))
        if record is None:
            known = ", ".join(self.sealed(kind)[-5:]) or "none"
            raise StoreError(
                f"the store holds no {kind} {name!r}",
                where=self.objects.location,
                mend=f"The newest are: {known}.",
            )
        return record

    def find(self, kind: str, name: str) -> Path:
        """Return a local folder with one sealed `kind`; empty `name` means the newest.

        Of a remote store this is a copy: every process checks it whole against the log before its
        first use. Raises StoreError when there is no such one or it is not what was sealed.
        """
        record = self.record(kind, name)
        folder = self.folder(kind) / record.id
        if not self.is_local and not (folder / MANIFEST_NAME).exists():
            self._copy(kind, record, folder)
        if not (folder / MANIFEST_NAME).exists():
            raise _not_as_sealed(f"the {kind} {record.id} is missing", folder)
        manifest = read_manifest(folder)
        if manifest.digest != record.manifest_digest:
            raise _not_as_sealed(f"the {kind} {record.id} is not what the log names", folder)
        if not self.is_local and folder not in self._checked:
            _check_copy(folder, manifest)
            self._checked.add(folder)
        return folder

    def _copy(self, kind: str, record: LogRecord, folder: Path) -> None:
        with workspace(self.incomplete(), f"copy-{kind}-{record.id}") as space:
            part = space / "sealed"
            self.fetch(kind, record.id, part)
            try:
                manifest = read_manifest(part)
                check_files(part, manifest)
            except VerificationError as error:
                raise self._damaged(record, error.what) from error
            if manifest.digest != record.manifest_digest:
                raise self._damaged(record, "its manifest is not the one that the log names")
            try:
                folder.parent.mkdir(parents=True, exist_ok=True)
                part.rename(folder)
                self._checked.add(folder)
            except OSError as error:
                if not (folder / MANIFEST_NAME).exists():  # else another process was first
                    raise evidence_not_written(folder, error) from error

    def _damaged(self, record: LogRecord, how: str) -> StoreError:
        return StoreError(
            f"the {record.kind} {record.id} is not as it was sealed: {how}",
            where=f"{self.objects.location}, {SEALED_KINDS[record.kind]}/{record.id}",
            mend="Run `auditpack verify` to see everything that is wrong.",
        )

    def fetch(self, kind: str, name: str, target: Path) -> None:
        """Copy everything that lies under one sealed thing into the new folder `target`."""
        prefix = f"{SEALED_KINDS[kind]}/{name}/"
        for info in self.objects.list(prefix):
            path = PurePosixPath(info.name.removeprefix(prefix))
            if path.is_absolute() or ".." in path.parts:
                raise _not_as_sealed("an object's name leads out of its folder", target / path.name)
            self.objects.fetch(info.name, target / path)

    def manifest(self, kind: str, name: str) -> Manifest:
        """Read the manifest of one sealed folder."""
        return read_manifest(self.find(kind, name))

    def placed_manifest(self, kind: str, name: str) -> Manifest:
        """Read the manifest of a folder that is in its place, whether the log names it or not."""
        path = f"{SEALED_KINDS[kind]}/{name}/{MANIFEST_NAME}"
        return read_manifest(self.root, data=self.objects.read(path), where=path)

    def keep_certificate(self, certificate: Certificate) -> None:
        """Keep a certificate under its fingerprint, so that verification is possible offline."""
        try:
            self.objects.create(certificate_name(certificate.fingerprint), certificate.pem)
        except ObjectExistsError:
            return  # the same one: its name is its digest

    def put_folder(self, folder: Path, kind: str, name: str) -> None:
        """Put the files of a sealed folder into their place, the manifest last. Raises StoreError.

        What is there already is taken for an earlier attempt at the same, if its bytes are.
        """
        if self.is_local:
            self._move(folder, kind, name)
            return
        prefix = f"{SEALED_KINDS[kind]}/{name}"
        for path in [*files_below(folder), MANIFEST_NAME]:
            self._create_or_same(f"{prefix}/{path}", folder / path)
        if not (self.folder(kind) / name).exists():
            self._move(folder, kind, name)  # what was sent is the copy that is read from now on

    def _move(self, folder: Path, kind: str, name: str) -> None:
        target = self.folder(kind) / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
            sync_folder(target.parent)
        except OSError as error:
            raise StoreError(
                f"the sealed {kind} could not be put into place: {error.strerror}",
                where=str(target),
                mend="Another run may have sealed the same one; run `auditpack verify`.",
            ) from error

    def _create_or_same(self, name: str, source: Path) -> None:
        try:
            self.objects.create(name, source)
        except ObjectExistsError:
            with workspace(self.incomplete(), "compare") as space:
                self.objects.fetch(name, space / source.name)
                if sha256_of_file(space / source.name) != sha256_of_file(source):
                    raise

    def kept_certificates(self) -> list[str]:
        """Return the names of the certificate objects."""
        return [info.name for info in self.objects.list("certificates/")]


def certificate_name(fingerprint: str) -> str:
    """Return the object name of a kept certificate."""
    return f"certificates/{fingerprint}.pem"


def _require_empty(root: Path) -> None:
    if root.exists() and not root.is_dir():
        what = "this is a file and not an evidence store"
    else:
        names = {path.name for path in root.iterdir()} if root.exists() else set()
        if STORE_MARK in names or names <= {"incomplete"}:
            return
        what = "this folder is not empty and is not an evidence store"
    raise StoreError(what, where=str(root), mend="Name an empty or new folder with --store.")


def _check_copy(folder: Path, manifest: Manifest) -> None:
    try:
        check_files(folder, manifest)
    except VerificationError as error:
        raise StoreError(
            f"the local copy of what was sealed is damaged: {error.what}",
            where=error.where,
            mend=f"Remove {folder}: it is fetched again, and checked.",
        ) from error


def _not_as_sealed(what: str, folder: Path) -> StoreError:
    return StoreError(
        what, where=str(folder), mend="Run `auditpack verify` to see everything that is wrong."
    )

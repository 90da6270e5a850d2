"""The store: a folder that holds sealed snapshots, assessments and packs, and the open run.

auditpack-store.json        marks the folder and its format
certificates/<fp>.pem       the certificates that manifests were signed with
snapshots/<id>/             sealed: captures, tables, gaps, manifest
assessments/<id>/           sealed: findings, scores, the catalogue used, manifest
packs/<id>/                 sealed: the PDF and what is attached to it, manifest
incomplete/<id>/            a run that was not sealed: never taken for evidence
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evidence.canonical import canonical_json
from evidence.errors import StoreError
from evidence.files import sync_folder, write_atomically
from evidence.keys import Certificate
from evidence.manifest import MANIFEST_NAME, Manifest, read_manifest

STORE_MARK = "auditpack-store.json"
MARK_CONTENT = canonical_json({"format": 1, "is": "an auditpack evidence store"})
"""What the mark of a store says, byte for byte."""

SEALED_KINDS = {"snapshot": "snapshots", "assessment": "assessments", "pack": "packs"}
"""Kind of a sealed folder -> the store's folder for that kind."""


@dataclass(frozen=True)
class Store:
    """A local store. `root` is its folder."""

    root: Path

    @classmethod
    def open(cls, root: Path, *, create: bool = False) -> Store:
        """Open the store at `root`; with `create`, make it in an empty or missing folder.

        Raises StoreError when the folder is something else, or cannot be written.
        """
        mark = root / STORE_MARK
        if not mark.exists():
            if not create:
                raise StoreError(
                    "there is no evidence store here",
                    where=str(root),
                    mend="Run `auditpack collect` first, or name the right folder with --store.",
                )
            if root.exists() and not root.is_dir():
                raise StoreError(
                    "this is a file and not an evidence store",
                    where=str(root),
                    mend="Name an empty or new folder with --store.",
                )
            if root.exists() and any(root.iterdir()):
                raise StoreError(
                    "this folder is not empty and is not an evidence store",
                    where=str(root),
                    mend="Name an empty or new folder with --store.",
                )
            write_atomically(mark, MARK_CONTENT)
        elif mark.read_bytes() != MARK_CONTENT:
            raise StoreError(
                "this store has a format that this auditpack does not know",
                where=str(mark),
                mend="Use the auditpack version that made it, or a newer one.",
            )
        return cls(root)

    def folder(self, kind: str) -> Path:
        """Return the folder that holds sealed things of `kind`."""
        return self.root / SEALED_KINDS[kind]

    def incomplete(self) -> Path:
        """Return the folder of runs that are not sealed."""
        return self.root / "incomplete"

    def sealed(self, kind: str) -> list[str]:
        """Return the ids of the sealed folders of `kind`, sorted."""
        folder = self.folder(kind)
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if (path / MANIFEST_NAME).exists())

    def latest(self, kind: str) -> str:
        """Return the id of the `kind` that was sealed last. Raises StoreError if there is none."""
        newest = self._tip(kind)
        if newest is None:
            command = {"snapshot": "collect", "assessment": "evaluate", "pack": "pack"}[kind]
            raise StoreError(
                f"the store holds no sealed {kind}",
                where=str(self.root),
                mend=f"Run `auditpack {command}` first.",
            )
        return newest[0]

    def _tip(self, kind: str) -> tuple[str, str] | None:
        """Return id and manifest digest of the end of the chain: what no other one follows."""
        manifests = {name: self.manifest(kind, name) for name in self.sealed(kind)}
        followed = {m.previous["id"] for m in manifests.values() if m.previous is not None}
        tips = sorted(set(manifests) - followed)
        return (tips[-1], manifests[tips[-1]].digest) if tips else None

    def find(self, kind: str, name: str) -> Path:
        """Return the folder of one sealed `kind`; empty `name` means the newest.

        Raises StoreError when there is no such one.
        """
        chosen = name or self.latest(kind)
        folder = self.folder(kind) / chosen
        if not (folder / MANIFEST_NAME).exists():
            known = ", ".join(self.sealed(kind)[-5:]) or "none"
            raise StoreError(
                f"the store holds no {kind} {chosen!r}",
                where=str(self.root),
                mend=f"The newest are: {known}.",
            )
        return folder

    def manifest(self, kind: str, name: str) -> Manifest:
        """Read the manifest of one sealed folder."""
        return read_manifest(self.folder(kind) / name)

    def link_to_previous(self, kind: str) -> dict[str, str] | None:
        """Return what a new manifest of `kind` says about the one before it."""
        tip = self._tip(kind)
        return None if tip is None else {"id": tip[0], "manifest_sha256": tip[1]}

    def keep_certificate(self, certificate: Certificate) -> None:
        """Keep a certificate under its fingerprint, so that verification is possible offline."""
        path = self.root / "certificates" / f"{certificate.fingerprint}.pem"
        if not path.exists():
            write_atomically(path, certificate.pem)

    def publish(self, folder: Path, kind: str, name: str) -> Path:
        """Move a sealed folder into its place, in one atomic step. Raises StoreError."""
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
        return target

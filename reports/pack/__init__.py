"""The audit pack: one signed PDF/A-3 with its evidence attached, sealed in the store.

`make_pack` renders a view, attaches what it rests on, signs and seals. The heavy libraries
(WeasyPrint, pyHanko) are imported when a pack is made, not before.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evidence.files import write_atomically
from evidence.keys import Certificate
from evidence.sealing import Sealer
from evidence.store import Store
from evidence.timestamps import TimestampError
from evidence.workspaces import workspace
from reports.view import ReportView

if TYPE_CHECKING:
    from reports.pack.render import Rendered

__all__ = ["PDF_NAME", "make_pack", "next_pack_id", "render_pack"]

PDF_NAME = "pack.pdf"
"""The PDF's name in a pack's folder."""


def make_pack(view: ReportView, store: Store, sealer: Sealer) -> Path:
    """Render, attach, sign and seal a pack; return the path of its PDF in the store.

    With a timestamp authority, the signature carries its timestamp; one that is away is recorded
    as missing. Raises MissingLibrariesError without the system libraries that WeasyPrint needs,
    PackError when it cannot be rendered or signed, StoreError when it cannot be written.
    """
    sealer.begin(store)
    pack_id = next_pack_id(store, view.assessment.id)
    rendered = render_pack(view, store, sealer.key.certificate, pack_id)
    signed, timestamp = _signed(view, rendered.pdf, sealer)
    with workspace(store.incomplete(), f"pack-{pack_id}") as folder:
        write_atomically(folder / "sealed" / PDF_NAME, signed)
        predicate = {
            "assessment": {
                "id": view.assessment.id,
                "manifest_sha256": view.assessment.manifest_digest,
            },
            "period": {"from": view.period_from, "to": view.period_to},
            "pages": rendered.pages,
            "timestamp": timestamp,
        }
        return sealer.seal(store, folder / "sealed", "pack", pack_id, predicate) / PDF_NAME


def _signed(view: ReportView, pdf: bytes, sealer: Sealer) -> tuple[bytes, dict[str, str]]:
    """Return the signed PDF, and what came of its timestamp."""
    from reports.pack.sign import sign_pdf
    from reports.pack.timestamper import AuthorityTimeStamper

    def sign(timestamper: AuthorityTimeStamper | None) -> bytes:
        return sign_pdf(
            pdf,
            sealer.key,
            organisation=view.organisation,
            reason=f"Evidence of {view.organisation} for {view.period_from} to {view.period_to}",
            signed_at=sealer.clock(),
            timestamper=timestamper,
        )

    if sealer.authority is None:
        return sign(None), {}
    try:
        signed = sign(AuthorityTimeStamper(sealer.authority))
    except TimestampError as error:
        return sign(None), {"authority": sealer.authority.url, "missing": error.what}
    return signed, {"authority": sealer.authority.url}


def next_pack_id(store: Store, assessment_id: str) -> str:
    """Return the id of an assessment's next pack: `ASSESSMENT.001` and so on."""
    prefix = f"{assessment_id}."
    taken = [name.removeprefix(prefix) for name in store.sealed("pack") if name.startswith(prefix)]
    highest = max((int(number) for number in taken if number.isdigit()), default=0)
    return f"{prefix}{highest + 1:03d}"


def render_pack(view: ReportView, store: Store, certificate: Certificate, pack_id: str) -> Rendered:
    """Return the unsigned PDF with its attachments: the same bytes for the same input."""
    from reports.pack.attachments import (
        INSTRUCTIONS,
        Attached,
        attach_evidence,
        certificate_names,
        in_order,
        manifest_signers,
    )
    from reports.pack.context import build_context
    from reports.pack.logged import logged
    from reports.pack.render import render_pdf
    from reports.pack.verifying import LOG, as_text, steps

    log = logged(view, store, pack_id)
    attached = attach_evidence(view, store, certificate, log)
    signers = {**manifest_signers(view, store), LOG: log.signer}
    names = certificate_names(signers.values(), certificate)
    found = steps(view, pack_id, attached, {kind: names[by] for kind, by in signers.items()})
    instructions = Attached(
        INSTRUCTIONS,
        "the commands of the chapter on verifying, to be copied",
        "Supplement",
        as_text(found).encode(),
    )
    everything = in_order([*attached, instructions])
    return render_pdf(build_context(view, pack_id, certificate, everything, found, log))

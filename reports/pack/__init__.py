"""The audit pack: one signed PDF/A-3 with its evidence attached, sealed in the store.

`make_pack` renders a view, attaches what it rests on, signs and seals. The heavy libraries
(WeasyPrint, pyHanko) are imported when a pack is made, not before.
"""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from evidence.files import write_atomically
from evidence.keys import Certificate, SigningKey
from evidence.manifest import seal_folder
from evidence.store import Store
from reports.view import ReportView

if TYPE_CHECKING:
    from reports.pack.render import Rendered

__all__ = ["PDF_NAME", "make_pack", "next_pack_id", "render_pack"]

PDF_NAME = "pack.pdf"
"""The PDF's name in a pack's folder."""


def make_pack(
    view: ReportView, store: Store, key: SigningKey, *, signed_at: datetime.datetime
) -> Path:
    """Render, attach, sign and seal a pack; return the path of its PDF in the store.

    Raises MissingLibrariesError without the system libraries that WeasyPrint needs, PackError when
    it cannot be rendered or signed, StoreError when it cannot be written.
    """
    from reports.pack.sign import sign_pdf

    pack_id = next_pack_id(store, view.assessment.id)
    rendered = render_pack(view, store, key.certificate, pack_id)
    signed = sign_pdf(
        rendered.pdf,
        key,
        organisation=view.organisation,
        reason=f"Evidence of {view.organisation} for {view.period_from} to {view.period_to}",
        signed_at=signed_at,
    )
    work = store.incomplete() / f"pack-{pack_id}"
    shutil.rmtree(work, ignore_errors=True)
    write_atomically(work / PDF_NAME, signed)
    predicate = {
        "id": pack_id,
        "assessment": {
            "id": view.assessment.id,
            "manifest_sha256": view.assessment.manifest_digest,
        },
        "period": {"from": view.period_from, "to": view.period_to},
        "pages": rendered.pages,
        "previous": store.link_to_previous("pack"),
    }
    seal_folder(work, "pack", predicate, key)
    store.keep_certificate(key.certificate)
    return store.publish(work, "pack", pack_id) / PDF_NAME


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
    from reports.pack.render import render_pdf
    from reports.pack.verifying import as_text, steps

    attached = attach_evidence(view, store, certificate)
    signers = manifest_signers(view, store)
    names = certificate_names(signers.values(), certificate)
    found = steps(view, pack_id, attached, {kind: names[by] for kind, by in signers.items()})
    instructions = Attached(
        INSTRUCTIONS,
        "the commands of the chapter on verifying, to be copied",
        "Supplement",
        as_text(found).encode(),
    )
    everything = in_order([*attached, instructions])
    return render_pdf(build_context(view, pack_id, certificate, everything, found))

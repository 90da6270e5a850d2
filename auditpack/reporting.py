"""From the store to what reports show: the view of an assessment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditpack import __version__
from auditpack.config import quarter_of

if TYPE_CHECKING:
    from auditpack.options import Context
    from reports.view import ReportView


def view_of(context: Context, assessment_id: str = "") -> ReportView:
    """Return the view of a sealed assessment; an empty id means the newest. Raises StoreError."""
    from controls.assessment import Assessment
    from evidence.keys import Certificate
    from evidence.snapshot import Snapshot
    from evidence.store import certificate_name
    from reports.view import build_view

    store = context.store()
    assessment = Assessment.open(store, assessment_id)
    snapshot = Snapshot.open(store, assessment.snapshot_id)
    configured = context.config.period
    period = quarter_of(snapshot.as_of)
    if configured is not None:
        period = (configured.start.isoformat(), configured.end.isoformat())
    signer = store.manifest("assessment", assessment.id).signed_by
    certificate = Certificate.from_pem(store.objects.read(certificate_name(signer)), where=signer)
    return build_view(
        assessment,
        snapshot,
        organisation=snapshot.predicate["intent"]["organisation"],
        period=period,
        tool_version=__version__,
        signer=certificate.subject,
        fingerprint=certificate.fingerprint,
    )

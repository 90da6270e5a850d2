"""A store whose assessment has a framework with levels of maturity, for tests of reports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pack_store import CHECKS, CONTROLS, DEMO_FRAMEWORK, SCHEMAS, Bucket, Built, build_store

from controls.assessment import assess
from controls.catalogue import BUILT_IN, Catalogue
from controls.models import Framework

LEVELLED: dict[str, Any] = {
    **DEMO_FRAMEWORK,
    "id": "levels",
    "title": "Practice of the house",
    "profiles": [
        {"id": "phase-1", "title": "Foundation (weeks 1-8)"},
        {"id": "phase-2", "title": "Reliability (weeks 9-18)"},
    ],
    "groups": [
        {"id": "DAT", "title": "Data"},
        {"id": "OPS", "title": "Operations"},
        {"id": "NON", "title": "Nothing of ours"},
    ],
    "requirements": [
        {
            "id": "DAT-01",
            "title": "Old versions are kept",
            "group": "DAT",
            "level": 2,
            "profiles": ["phase-1"],
            "controls": ["backup"],
        },
        {
            "id": "DAT-02",
            "title": "Data at rest is unreadable",
            "group": "DAT",
            "level": 3,
            "profiles": ["phase-2"],
            "controls": ["encryption-at-rest"],
            "manual_evidence": [{"type": "report", "about": "Keys in use, with their owners"}],
        },
        {
            "id": "OPS-01",
            "title": "Somebody looks at access",
            "group": "OPS",
            "level": 2,
            "profiles": ["phase-1"],
            "controls": ["access-review"],
        },
        {
            "id": "NON-01",
            "title": "A thing that nobody has",
            "group": "NON",
            "level": 4,
            "profiles": ["phase-2"],
            "controls": ["access-review"],
        },
    ],
}
"""Data is at level 2 in `levelled`, operations at level 1; the third area does not apply."""

NOT_APPLICABLE = {"levels:NON-01": "The company has no such thing"}


def levelled(
    root: Path,
    *,
    framework: str = "levels",
    not_applicable: Mapping[str, str] = MappingProxyType(NOT_APPLICABLE),
) -> Built:
    """Build a small estate and judge it by the framework with levels, and by the usual one."""
    built = build_store(root, [Bucket("ledger"), Bucket("archive", algorithm="NONE")])
    frameworks = {
        "demo": Framework.model_validate({**DEMO_FRAMEWORK, "benchmark": "demo"}),
        "levels": Framework.model_validate(LEVELLED),
    }
    checks = {check.id: check for check in CHECKS}
    files = {("checks", name): BUILT_IN / "library" / "backup.yaml" for name in checks}
    catalogue = Catalogue(checks, {}, CONTROLS, frameworks, files)
    assessment = assess(
        built.store,
        built.snapshot,
        catalogue,
        SCHEMAS,
        ["demo", framework],
        built.sealer,
        not_applicable=not_applicable,
    )
    return Built(built.store, built.key, built.snapshot, assessment)

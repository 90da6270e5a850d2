"""The frameworks are whole: as many requirements as their publishers have, by profile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_catalogue import catalogue

from controls.mappings import evidence_counts
from controls.profiles import requirements_in

ROOT = Path(__file__).parent.parent

PUBLISHED = {
    "soc2": {"": 61, "security": 33, "availability": 36, "privacy": 51},
    "iso27001": {"": 123, "annex-a": 93},
    "pci_dss": {"": 280},
    "nist_800_53": {"low": 149, "moderate": 287, "high": 370},
    "nist_csf": {"": 106},
    "nist_800_171": {"": 110},
    "cmmc": {"": 149, "level-1": 15, "level-2": 110},
    "fedramp_moderate": {"": 323},
    "cis_controls": {"ig1": 56, "ig2": 130, "ig3": 153},
    "csa_ccm": {"": 197},
    "cis_aws_7.0": {"": 70},
    "cis_azure_6.0": {"": 127},
    "cis_gcp_5.0": {"": 93},
}
"""What the publishers count, by profile; the empty one is all."""


@pytest.mark.parametrize(
    ("name", "profile", "number"),
    [(name, profile, n) for name, found in PUBLISHED.items() for profile, n in found.items()],
)
def test_every_requirement_of_the_publisher_is_listed(name: str, profile: str, number: int) -> None:
    framework = catalogue().framework(name)
    assert len(requirements_in(framework, profile)) == number


def test_a_requirement_that_no_cloud_can_answer_has_no_checks() -> None:
    found = catalogue()
    wrong = [
        f"{framework.id}:{item.id}"
        for framework in found.frameworks.values()
        for item in framework.requirements
        if item.automated is False
        and framework.benchmark is None
        and found.checks_of(framework, item)
    ]
    assert wrong == []


def test_every_requirement_has_evidence_that_can_show_it() -> None:
    found = catalogue()
    for framework in found.frameworks.values():
        counts = evidence_counts(found, framework)
        assert counts.none == 0, framework.id
        assert counts.automated + counts.manual == counts.requirements


def test_there_are_common_controls_enough_and_all_are_used() -> None:
    found = catalogue()
    assert len(found.controls) >= 130
    used = {c for f in found.frameworks.values() for r in f.requirements for c in r.controls}
    assert set(found.controls) == used


def test_the_page_of_mappings_is_current() -> None:
    page = ROOT / "docs" / "mappings.md"
    before = page.read_text()
    try:
        subprocess.run(
            [sys.executable, "scripts/mappings.py"],
            cwd=ROOT,
            check=True,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
        )
        assert page.read_text() == before, "run python scripts/mappings.py"
    finally:
        page.write_text(before)

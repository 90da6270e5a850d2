"""Writes docs/mappings.md: what stands behind every framework, and how it differs from a peer's.

    python scripts/mappings.py [--peer peer_requirement_checks.json]

Without `--peer` the comparison that is there stays as it is. The peer's file maps its frameworks to
requirements to checks (`provider:check`); it is reference data and no part of the project.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from controls.catalogue import Catalogue, load_catalogue
from controls.mappings import Comparison, compare, evidence_counts
from reports.pack.text import joined

DOCS = Path(__file__).parent.parent / "docs"
PAGE, DIFFERENCES = DOCS / "mappings.md", DOCS / "mapping-differences.csv"

PEER_NAMES = {
    "aws_fsbp": r"aws_foundational_security_best_practices_aws",
    "cis_aws_7.0": r"cis_7\.0_aws",
    "cis_azure_6.0": r"cis_6\.0_azure",
    "cis_gcp_5.0": r"cis_5\.0_gcp",
    "cis_controls": r"cis_controls_8\.1",
    "cmmc": r"cmmc_2\.0",
    "csa_ccm": r"csa_ccm_4\.0",
    "dora": r"dora_2022_2554",
    "fedramp_20x": r"fedramp_20x_ksi_low_\w+",
    "fedramp_moderate": r"fedramp_moderate_revision_4_aws",
    "gdpr": r"gdpr_\w+",
    "hipaa": r"hipaa_\w+",
    "iso27001": r"iso27001_2022_\w+",
    "nis2": r"nis2_\w+",
    "nist_800_171": r"nist_800_171_revision_2_aws",
    "nist_800_53": r"nist_800_53_revision_5_aws",
    "nist_csf": r"nist_csf_2\.0_aws",
    "pci_dss": r"pci_4\.0_\w+",
    "soc2": r"soc2_\w+",
}
"""What the peer calls a framework of ours, as a pattern: it has one file a cloud."""

_MARK = "<!-- comparison -->"

_HEAD = """\
# Mappings

Made by `scripts/mappings.py`; do not edit. For every framework: how many requirements there are,
how many of them checks decide (*automated*; people's evidence may come on top), how many rest on
what people bring (*manual*), and how many have neither (*none*). The three add up.

A requirement is decided by the checks of the common controls that meet it; one of a benchmark by
the checks with the same rule. `auditpack explain FRAMEWORK:REQUIREMENT` shows them one by one, and
`auditpack crosswalk ONE OTHER` what one framework already gives of another.

| Framework | Version | Requirements | Automated | Manual | None | Checks |
|---|---|--:|--:|--:|--:|--:|
"""

_PEER_HEAD = """
## Beside Prowler's mappings

Counted are pairs of a requirement and a check, of checks that both have (by `equivalents`), and of
requirements that both list: those that are the same, those that only Prowler maps, and those that
only we map. Each pair that is not the same stands in `mapping-differences.csv`, for review. We map
by common controls, and Prowler check by check: a control brings all of its checks.

| Framework | Its requirements | Same | Only Prowler | Only we | Its ids that we do not list |
|---|--:|--:|--:|--:|---|
"""


def counts_table(catalogue: Catalogue) -> str:
    """Return the page's first part, which follows from the catalogue alone."""
    rows = []
    for framework in sorted(catalogue.frameworks.values(), key=lambda item: item.title.casefold()):
        found = evidence_counts(catalogue, framework)
        rows.append(
            f"| {found.title} (`{found.framework}`) | {found.version} | {found.requirements} |"
            f" {found.automated} | {found.manual} | {found.none} | {found.checks} |\n"
        )
    return _HEAD + "".join(rows)


def comparisons(
    catalogue: Catalogue, peer: dict[str, dict[str, list[str]]]
) -> Iterator[Comparison]:
    """Yield how each framework that the peer has differs."""
    for name, pattern in sorted(PEER_NAMES.items()):
        if name not in catalogue.frameworks:
            continue
        theirs: dict[str, list[str]] = {}
        for known, requirements in peer.items():
            if re.fullmatch(pattern, known):
                for requirement, checks in requirements.items():
                    theirs.setdefault(requirement, []).extend(checks)
        yield compare(catalogue, catalogue.frameworks[name], theirs)


def comparison_table(found: Sequence[Comparison]) -> str:
    """Return the page's second part."""
    rows = [
        f"| `{item.framework}` | {item.peer_requirements} | {item.same} | {item.only_theirs} |"
        f" {item.only_ours} | {joined(item.unknown, limit=8)} |\n"
        for item in found
    ]
    return _PEER_HEAD + "".join(rows)


def write_differences(found: Sequence[Comparison]) -> None:
    """Write every pair that only one maps: framework, requirement, who, checks."""
    with DIFFERENCES.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["framework", "requirement", "only", "checks"])
        for item in found:
            for difference in item.differences:
                for who, checks in (("prowler", difference.theirs), ("us", difference.ours)):
                    if checks:
                        row = [item.framework, difference.requirement, who, " ".join(checks)]
                        writer.writerow(row)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="the peer's requirements and checks, as JSON")
    options = parser.parse_args()
    catalogue = load_catalogue()
    if options.peer is None:
        compared = PAGE.read_text().partition(_MARK)[2] if PAGE.exists() else ""
    else:
        found = list(comparisons(catalogue, json.loads(options.peer.read_text())))
        write_differences(found)
        compared = comparison_table(found)
    PAGE.write_text(f"{counts_table(catalogue)}\n{_MARK}{compared}")


if __name__ == "__main__":
    main()

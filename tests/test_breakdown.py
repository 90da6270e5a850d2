"""Scores by part: whatever was found, the parts add up to the whole."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from support_controls import check_yaml, framework_yaml

from controls.breakdown import FamilyRow, FindingsRow, by_control, by_family, by_part
from controls.catalogue import Catalogue
from controls.models import Check, Framework
from controls.scoring import Counts, RequirementStatus, score_framework, total_of

numbers = st.integers(0, 50)
counts = st.builds(Counts, numbers, numbers, numbers, numbers, numbers)
by_check = st.dictionaries(st.sampled_from([f"check_{n}" for n in range(8)]), counts)
CHECKS = [
    Check.model_validate(check_yaml(f"check_{n}", "true", control="abc"[n % 3])) for n in range(8)
]


def dumped(found: dict[str, Counts]) -> dict[str, dict[str, int]]:
    return {name: value.as_dict() for name, value in found.items()}


@given(by_check)
def test_controls_hold_every_finding_once(found: dict[str, Counts]) -> None:
    rows = by_control(CHECKS, dumped(found))
    assert total_of(row.counts for row in rows) == total_of(found.values())
    assert [row.name for row in rows] == sorted(
        {check.control for check in CHECKS if check.id in found}
    )


@given(st.dictionaries(st.text(max_size=5), counts))
def test_parts_are_what_was_sealed(found: dict[str, Counts]) -> None:
    rows = by_part(dumped(found))
    assert {row.name: row.counts for row in rows} == found
    for row in rows:
        assert (row.pass_rate is None) == (row.counts.judged == 0)
        assert row.pass_rate is None or 0 <= row.pass_rate <= 1


groups = st.lists(st.sampled_from("GHI"), min_size=1, max_size=9)


@given(groups, by_check, st.sets(st.integers(0, 8)))
def test_families_hold_every_requirement_once(
    held_in: list[str], found: dict[str, Counts], declared: set[int]
) -> None:
    document = framework_yaml("f", {f"R{n}": ["abc"[n % 3]] for n in range(len(held_in))})
    document["groups"] = [{"id": name, "title": name} for name in "GHI"]
    for item, group in zip(document["requirements"], held_in, strict=True):
        item["group"] = group
    framework = Framework.model_validate(document)
    catalogue = Catalogue({c.id: c for c in CHECKS}, {}, {}, {"f": framework}, {})
    reasons = {f"R{n}": "because" for n in declared}
    result = score_framework(catalogue, framework, found, not_applicable=reasons)
    rows = by_family(framework, result.as_dict())
    assert sorted(row.id for row in rows) == sorted(set(held_in))
    for status in RequirementStatus:
        assert sum(row.statuses[status] for row in rows) == result.statuses[status]
    counted = sum(_counted(row) for row in rows)
    satisfied = sum(row.statuses[RequirementStatus.SATISFIED] for row in rows)
    assert result.score == (Fraction(satisfied, counted) if counted else None)


def _counted(row: FamilyRow) -> int:
    return sum(row.statuses.values()) - row.statuses[RequirementStatus.NOT_APPLICABLE]


def test_what_was_not_observed_counts_against_the_pass_rate() -> None:
    row = FindingsRow(
        "x", Counts(passed=1, failed=1, not_evidenced=2, not_applicable=9, excepted=9)
    )
    assert row.as_dict()["pass_rate_percent"] == "25.0"

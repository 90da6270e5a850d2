"""Scores: exact, add up, and cannot be raised by looking away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_controls import check_yaml, framework_yaml, make_catalogue

from controls.catalogue import Catalogue
from controls.models import Check, Framework, Requirement, Severity
from controls.scoring import (
    WEIGHTS,
    Counts,
    FrameworkResult,
    RequirementStatus,
    percent,
    requirement_status,
    score_framework,
    severity_weighted,
    total_of,
)
from evidence.canonical import canonical_json
from evidence.errors import UsageError

numbers = st.integers(0, 5)
counts = st.builds(Counts, numbers, numbers, numbers, numbers, numbers)


def check_of(name: str, control: str, severity: str = "high", **changes: Any) -> Check:
    given_as = check_yaml(name, "true", control=control, severity=severity, **changes)
    return Check.model_validate(given_as)


def catalogue_of(
    checks: Sequence[Check], requirements: Sequence[tuple[str, ...]]
) -> tuple[Catalogue, Framework]:
    framework = Framework.model_validate(
        framework_yaml("f", {f"R{n}": controls for n, controls in enumerate(requirements)})
    )
    by_id = {check.id: check for check in checks}
    return Catalogue(by_id, {}, {}, {"f": framework}, {}), framework


CONTROLS = ("a", "b", "c", "idle")


@st.composite
def scored_worlds(draw: st.DrawFn) -> tuple[Catalogue, Framework, dict[str, Counts]]:
    """A catalogue, a framework over its controls, and counts for most of its checks."""
    checks = [
        check_of(f"check_{n}", draw(st.sampled_from(CONTROLS[:3])), draw(st.sampled_from(Severity)))
        for n in range(draw(st.integers(1, 5)))
    ]
    controls = st.sets(st.sampled_from(CONTROLS), min_size=1).map(
        lambda found: tuple(sorted(found))
    )
    requirements = draw(st.lists(controls, min_size=1, max_size=4))
    by_check = {check.id: draw(counts) for check in checks if draw(st.integers(0, 4))}
    catalogue, framework = catalogue_of(checks, requirements)
    return catalogue, framework, by_check


def score(world: tuple[Catalogue, Framework, dict[str, Counts]]) -> FrameworkResult:
    return score_framework(*world)


# ------------------------------------------------------------------------------------- counts


@settings(max_examples=50, deadline=None)
@given(st.lists(counts, max_size=5))
def test_counts_add_up_whatever_the_order(items: list[Counts]) -> None:
    total = total_of(items)
    assert total == total_of(reversed(items))
    assert total.total == sum(item.total for item in items) == sum(total.as_dict().values())
    for status, number in total.as_dict().items():
        assert number == sum(item.as_dict()[status] for item in items)
    assert Counts.from_statuses(total.as_dict()) == total


def test_coverage_is_of_what_counts_only() -> None:
    assert Counts(1, 2, 1, 9, 9).coverage == Fraction(3, 4)
    assert Counts(not_applicable=3, excepted=2).coverage is None


# ---------------------------------------------------------------------------------- percentages


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (Fraction(0), "0.0"),
        (Fraction(1), "100.0"),
        (Fraction(1, 2000), "0.1"),  # 0.05 is rounded up, not to even
        (Fraction(1, 800), "0.1"),  # 0.125
        (Fraction(3, 2000), "0.2"),  # 0.15: as a float it would be 0.1
        (Fraction(1, 3), "33.3"),
        (Fraction(2, 3), "66.7"),
        (Fraction(1999, 2000), "100.0"),
        (Fraction(19989, 20000), "99.9"),
        (None, None),
    ],
)
def test_a_percentage_has_one_decimal_rounded_half_up(
    share: Fraction | None, text: str | None
) -> None:
    assert percent(share) == text


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 4000), st.integers(1, 4000))
def test_percentages_agree_with_decimal_arithmetic(part: int, more: int) -> None:
    whole = part + more
    exact = Decimal(part) * 100 / Decimal(whole)
    assert percent(Fraction(part, whole)) == str(exact.quantize(Decimal("0.1"), ROUND_HALF_UP))


# --------------------------------------------------------------------------------- requirements


@settings(max_examples=100, deadline=None)
@given(found=counts, has_checks=st.booleans())
def test_one_failure_outweighs_everything_and_one_gap_outweighs_every_pass(
    found: Counts, has_checks: bool
) -> None:
    status = requirement_status(found, has_checks)
    if found.failed:
        assert status is RequirementStatus.NOT_SATISFIED
    elif found.not_evidenced or not has_checks:
        assert status is RequirementStatus.NOT_EVIDENCED
    elif found.passed:
        assert status is RequirementStatus.SATISFIED
    else:
        assert status is RequirementStatus.NOT_APPLICABLE


def test_a_requirement_without_any_check_is_not_evidenced_and_counts() -> None:
    catalogue, framework = catalogue_of([check_of("one", "a")], [("a",), ("idle",)])
    found = score_framework(catalogue, framework, {"one": Counts(passed=1)})
    assert [item.status for item in found.requirements] == [
        RequirementStatus.SATISFIED,
        RequirementStatus.NOT_EVIDENCED,
    ]
    assert found.score == Fraction(1, 2)


def test_a_requirement_whose_checks_found_nothing_to_judge_does_not_count() -> None:
    catalogue, framework = catalogue_of(
        [check_of("one", "a"), check_of("two", "b")], [("a",), ("b",)]
    )
    found = score_framework(
        catalogue, framework, {"one": Counts(passed=1), "two": Counts(not_applicable=4)}
    )
    assert found.requirements[1].status is RequirementStatus.NOT_APPLICABLE
    assert found.score == 1


def test_without_anything_judged_there_is_no_score_rather_than_a_perfect_one() -> None:
    catalogue, framework = catalogue_of([check_of("one", "a")], [("a",)])
    found = score_framework(catalogue, framework, {}).as_dict()
    assert found["score_percent"] is None
    assert found["evidence_coverage_percent"] is None
    assert found["severity_weighted_pass_rate_percent"] is None


# ------------------------------------------------------------------------------------ frameworks


@settings(max_examples=100, deadline=None)
@given(world=scored_worlds())
def test_a_score_adds_up_and_stays_within_its_bounds(
    world: tuple[Catalogue, Framework, dict[str, Counts]],
) -> None:
    catalogue, framework, by_check = world
    found = score(world)
    assert sum(found.statuses.values()) == len(framework.requirements)
    assert [item.id for item in found.requirements] == [r.id for r in framework.requirements]
    for item in found.requirements:
        assert item.counts == total_of(by_check.get(name, Counts()) for name in item.checks)
        assert all(
            (catalogue.checks[name].control in requirement_of(framework, item.id).controls)
            for name in item.checks
        )
    for share in (found.score, found.weighted, found.counts.coverage):
        assert share is None or 0 <= share <= 1
    satisfied = found.statuses[RequirementStatus.SATISFIED]
    counted = len(found.requirements) - found.statuses[RequirementStatus.NOT_APPLICABLE]
    assert found.score == (Fraction(satisfied, counted) if counted else None)


def requirement_of(framework: Framework, name: str) -> Requirement:
    return next(item for item in framework.requirements if item.id == name)


@settings(max_examples=100, deadline=None)
@given(world=scored_worlds(), data=st.data())
def test_what_is_not_evidenced_never_raises_a_score(
    world: tuple[Catalogue, Framework, dict[str, Counts]], data: st.DataObject
) -> None:
    """Neither findings that are added, nor verdicts that are taken back."""
    catalogue, framework, by_check = world
    name = data.draw(st.sampled_from(sorted(catalogue.checks)))
    old = by_check.get(name, Counts())
    added = data.draw(st.integers(0, 3))
    lost = Counts(*(data.draw(st.integers(0, number)) for number in (old.passed, old.failed)))
    new = Counts(
        old.passed - lost.passed,
        old.failed - lost.failed,
        old.not_evidenced + lost.passed + lost.failed + added,
        old.not_applicable,
        old.excepted,
    )
    before = score(world)
    after = score_framework(catalogue, framework, {**by_check, name: new})
    assert_not_higher(before.score, after.score)
    assert_not_higher(before.weighted, after.weighted)
    assert_not_higher(before.counts.coverage, after.counts.coverage)


def assert_not_higher(before: Fraction | None, after: Fraction | None) -> None:
    if before is None:
        assert after in (None, 0)
    else:
        assert after is not None
        assert after <= before


@settings(max_examples=50, deadline=None)
@given(world=scored_worlds(), data=st.data())
def test_a_failure_more_never_raises_a_score_and_unmakes_its_requirements(
    world: tuple[Catalogue, Framework, dict[str, Counts]], data: st.DataObject
) -> None:
    catalogue, framework, by_check = world
    name = data.draw(st.sampled_from(sorted(catalogue.checks)))
    worse = {**by_check, name: by_check.get(name, Counts()) + Counts(failed=1)}
    before, after = score(world), score_framework(catalogue, framework, worse)
    for item in after.requirements:
        if name in item.checks:
            assert item.status is RequirementStatus.NOT_SATISFIED
    assert_not_higher(before.score, after.score)


def test_a_benchmark_is_decided_by_the_checks_that_name_its_requirement() -> None:
    """Not by all checks of the control, as other frameworks are."""
    checks = [
        check_of("root", "a", equivalents={"cis": "1.1"}),
        check_of("both", "b", equivalents={"cis": ["1.1", "1.2"], "other": "1.3"}),
        check_of("unnamed", "a"),
    ]
    items: dict[str, Sequence[str]] = {"1.1": ["a"], "1.2": ["a"], "1.3": ["a"]}
    framework = Framework.model_validate(framework_yaml("f", items, benchmark="cis"))
    catalogue = Catalogue({check.id: check for check in checks}, {}, {}, {"f": framework}, {})
    by_check = {
        "root": Counts(failed=1),
        "both": Counts(passed=1),
        "unnamed": Counts(failed=1),
    }
    found = score_framework(catalogue, framework, by_check)
    assert [(item.id, item.checks, item.status.value) for item in found.requirements] == [
        ("1.1", ("root", "both"), "not_satisfied"),
        ("1.2", ("both",), "satisfied"),
        ("1.3", (), "not_evidenced"),
    ]
    assert found.as_dict()["score_percent"] == "33.3"


# -------------------------------------------------------------------------------- severity weights


def test_weights_fall_with_severity_and_informational_checks_weigh_nothing() -> None:
    ordered = [WEIGHTS[severity] for severity in Severity]
    assert ordered == sorted(ordered, reverse=True)
    assert len(set(ordered)) == len(ordered)
    assert WEIGHTS[Severity.INFORMATIONAL] == 0


def test_a_hundred_thousand_passes_do_not_drown_one_critical_failure() -> None:
    checks = [check_of("snapshots", "a", "low"), check_of("root_mfa", "a", "critical")]
    by_check = {"snapshots": Counts(passed=100_000), "root_mfa": Counts(failed=1)}
    assert severity_weighted(checks, by_check) == Fraction(1, 11)


def test_only_judged_checks_with_weight_count() -> None:
    checks = [
        check_of("half", "a", "high"),
        check_of("nothing", "a", "critical"),
        check_of("told", "a", "informational"),
    ]
    by_check = {
        "half": Counts(passed=1, not_evidenced=1),
        "nothing": Counts(not_applicable=3),
        "told": Counts(failed=9),
    }
    assert severity_weighted(checks, by_check) == Fraction(1, 2)
    assert severity_weighted(checks[2:], by_check) is None


def test_a_check_that_serves_two_requirements_weighs_once() -> None:
    catalogue, framework = catalogue_of(
        [check_of("bad", "a", "low"), check_of("good", "b", "low")], [("a",), ("a", "b")]
    )
    by_check = {"bad": Counts(failed=1), "good": Counts(passed=1)}
    assert score_framework(catalogue, framework, by_check).weighted == Fraction(1, 2)


# -------------------------------------------------------------------------------------- sealing


def test_a_result_is_canonical_json_with_its_counts_beside_the_score() -> None:
    catalogue, framework = catalogue_of([check_of("one", "a")], [("a",), ("idle",)])
    found = score_framework(catalogue, framework, {"one": Counts(2, 0, 0, 1, 0)}).as_dict()
    assert json.loads(canonical_json(found)) == found
    assert found["requirements_by_status"] == {
        "satisfied": 1,
        "not_satisfied": 0,
        "not_evidenced": 1,
        "not_applicable": 0,
    }
    assert found["requirements"][0]["findings"]["pass"] == 2
    assert found["evidence_coverage_percent"] == "100.0"


def test_a_framework_is_found_by_id_or_the_nearest_is_named(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path, frameworks=[framework_yaml("soc2", {"1": ["a"]})])
    assert catalogue.framework("soc2").id == "soc2"
    with pytest.raises(UsageError) as caught:
        catalogue.framework("soc-2")
    assert caught.value.mend == "Did you mean soc2?"

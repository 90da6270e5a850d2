"""What one framework gives of another, and how much evidence stands behind each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_controls import check_yaml, framework_yaml, make_catalogue

from controls.catalogue import Catalogue
from controls.crosswalk import Coverage, crosswalk
from controls.hygiene import hygiene_problems
from controls.mappings import compare, evidence_counts, parts_of
from controls.models import Framework
from evidence.errors import UsageError

FIRST = {"F1": ["a", "b"], "F2": ["b"]}
SECOND = {"S1": ["b", "a"], "S2": ["b", "c"], "S3": ["d"]}


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    profiles = [{"id": "small", "title": "Small"}, {"id": "large", "title": "Large"}]
    second = framework_yaml("second", SECOND, profiles=profiles)
    second["requirements"][0]["profiles"] = ["small"]
    second["requirements"][1]["profiles"] = ["large"]
    checks = [
        check_yaml("one", "encryption.algorithm <> 'NONE'", control="a"),
        check_yaml("two", "encryption.bits > 1", control="b", equivalents={"prowler": "peer_two"}),
        check_yaml("three", "encryption.rotated", control="c", equivalents={"prowler": "peer_3"}),
    ]
    return make_catalogue(tmp_path, checks, frameworks=[framework_yaml("first", FIRST), second])


def test_requirements_meet_in_the_controls_that_both_name(catalogue: Catalogue) -> None:
    found = crosswalk(catalogue, "first", "second")
    assert [(row.requirement, row.coverage) for row in found.rows] == [
        ("S1", Coverage.COVERED),
        ("S2", Coverage.PARTLY),
        ("S3", Coverage.NEW),
    ]
    assert found.rows[0].shared == {"b": ("F1", "F2"), "a": ("F1",)}
    assert found.rows[1].new == ("c",)
    assert found.counts == {"covered": 1, "partly": 1, "new": 1}
    assert found.new_controls == ["c", "d"]
    back = crosswalk(catalogue, "second", "first")
    assert back.counts == {"covered": 2, "partly": 0, "new": 0}


def test_a_profile_narrows_either_side(catalogue: Catalogue) -> None:
    found = crosswalk(catalogue, "first", "second", ("", "small"))
    assert [row.requirement for row in found.rows] == ["S1", "S3"]
    back = crosswalk(catalogue, "second", "first", ("small", ""))
    assert [row.coverage for row in back.rows] == ["covered", "covered"]
    with pytest.raises(UsageError, match="no profile 'huge'") as caught:
        crosswalk(catalogue, "first", "second", ("", "huge"))
    assert "There are: small, large." in caught.value.mend
    with pytest.raises(UsageError, match="no profile") as caught:
        crosswalk(catalogue, "first", "second", ("small", ""))
    assert "It has none" in caught.value.mend


controls = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True)
requirements = st.lists(controls, min_size=1, max_size=5)


@given(requirements, requirements)
def test_the_counts_add_up_and_oneself_is_covered(
    first: list[list[str]], second: list[list[str]]
) -> None:
    frameworks = {
        name: Framework.model_validate(
            framework_yaml(name, {f"R{n}": found for n, found in enumerate(items)})
        )
        for name, items in (("first", first), ("second", second))
    }
    catalogue = Catalogue({}, {}, {}, frameworks, {})
    found = crosswalk(catalogue, "first", "second")
    assert sum(found.counts.values()) == len(second)
    assert set(found.new_controls) == {c for r in second for c in r} - {c for r in first for c in r}
    assert crosswalk(catalogue, "first", "first").counts["covered"] == len(first)


# ----------------------------------------------------------------------------------- mappings


def test_every_requirement_is_counted_once_by_its_evidence(catalogue: Catalogue) -> None:
    found = evidence_counts(catalogue, catalogue.frameworks["second"])
    assert (found.requirements, found.automated, found.manual, found.none) == (3, 2, 0, 1)
    assert found.checks == 3


def test_what_nobody_evidences_is_a_problem(catalogue: Catalogue) -> None:
    (problem,) = [p for p in hygiene_problems(catalogue) if "nothing evidences" in p.what]
    assert "S3" in problem.what
    assert "requirements.2" in problem.where


def test_the_peers_mapping_is_compared_by_checks_that_both_have(catalogue: Catalogue) -> None:
    peer = {"s_1": ["aws:peer_two", "aws:peer_3"], "S2.1": ["aws:peer_3"], "S9": ["aws:peer_two"]}
    found = compare(catalogue, catalogue.frameworks["second"], peer)
    assert (found.same, found.only_theirs, found.only_ours) == (2, 1, 1)
    assert found.unknown == ("S9",)
    assert [(d.requirement, d.theirs, d.ours) for d in found.differences] == [
        ("S1", ("three",), ()),
        ("S2", (), ("two",)),
    ]
    coarse = {"s": ["aws:peer_two", "aws:peer_3"]}
    whole = compare(catalogue, catalogue.frameworks["second"], coarse)
    assert (whole.same, whole.only_theirs, whole.only_ours, whole.unknown) == (2, 0, 0, ())
    other_cloud = compare(catalogue, catalogue.frameworks["second"], {"S1": ["gcp:peer_two"]})
    assert other_cloud.same == 0, "a check of another cloud is another check"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A.5.1", "a_5_1"),
        ("164_308_a_1_ii_a", "164.308(a)(1)(ii)(A)"),
        ("DORA-Art10", "Article 10"),
        ("article_32", "Article 32"),
        ("ksi-iam-07", "KSI-IAM-07"),
        ("cc_6_1", "CC6.1"),
        ("cc_a_1_1", "A1.1"),
        ("ac_2_1", "AC-2(1)"),
    ],
)
def test_ids_are_the_same_however_they_are_spelt(one: str, other: str) -> None:
    assert parts_of(one) == parts_of(other)
    assert parts_of(one) != parts_of(f"{other}.9")


def test_a_requirement_names_profiles_of_its_framework_only() -> None:
    wrong: dict[str, Any] = framework_yaml("f", {"R": ["a"]})
    wrong["requirements"][0]["profiles"] = ["large"]
    with pytest.raises(ValueError, match="'large': not a profile"):
        Framework.model_validate(wrong)

"""What a company is held to: profiles, and what it says does not apply."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_controls import check_yaml, framework_yaml, make_catalogue

from controls.catalogue import Catalogue
from controls.scoping import scope_frameworks
from controls.scoring import Counts, FrameworkResult, score_framework
from evidence.errors import UsageError

FAILS = {"one": Counts(failed=3), "two": Counts(passed=2)}


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    profiles = [{"id": "small", "title": "Small"}, {"id": "large", "title": "Large"}]
    framework = framework_yaml("wide", {"R1": ["a"], "R2": ["b"], "R3": ["b"]}, profiles=profiles)
    framework["requirements"][1]["profiles"] = ["small"]
    framework["requirements"][2]["profiles"] = ["large"]
    checks = [
        check_yaml("one", "encryption.algorithm <> 'NONE'", control="a"),
        check_yaml("two", "encryption.bits > 1", control="b"),
    ]
    other = framework_yaml("other", {"O1": ["a"]})
    return make_catalogue(tmp_path, checks, frameworks=[framework, other])


def result(catalogue: Catalogue, name: str, **not_applicable: str) -> FrameworkResult:
    reasons = {f"wide:{key}": value for key, value in not_applicable.items()}
    (scoping,) = scope_frameworks(catalogue, [name], reasons)
    return score_framework(
        catalogue,
        scoping.framework,
        FAILS,
        profile=scoping.profile,
        not_applicable=scoping.not_applicable,
    )


def test_a_profile_has_its_own_requirements_and_those_of_all(catalogue: Catalogue) -> None:
    assert [item.id for item in result(catalogue, "wide").requirements] == ["R1", "R2", "R3"]
    narrowed = result(catalogue, "wide:small")
    assert [item.id for item in narrowed.requirements] == ["R1", "R2"]
    both = result(catalogue, "wide:large+small")
    assert [item.id for item in both.requirements] == ["R1", "R2", "R3"]
    assert narrowed.as_dict()["profile"] == "small"
    assert "profile" not in result(catalogue, "wide").as_dict()


def test_what_does_not_apply_counts_nowhere_and_says_why(catalogue: Catalogue) -> None:
    before = result(catalogue, "wide").as_dict()
    assert (before["score_percent"], before["requirements_by_status"]["not_satisfied"]) == (
        "66.7",
        1,
    )
    after = result(catalogue, "wide", R1="  We have none.  ").as_dict()
    assert after["score_percent"] == "100.0"
    assert after["severity_weighted_pass_rate_percent"] == "100.0"
    first = after["requirements"][0]
    assert (first["status"], first["declared_not_applicable"]) == (
        "not_applicable",
        "We have none.",
    )
    assert sum(first["findings"].values()) == 0
    assert "declared_not_applicable" not in after["requirements"][1]


@pytest.mark.parametrize(
    ("names", "reasons", "said"),
    [
        (["wide", "wide:small"], {}, "named twice"),
        (["wide:huge"], {}, "no profile 'huge'"),
        (["narrow"], {}, "no framework 'narrow'"),
        (["wide"], {"wide:R9": "x"}, "no requirement 'R9'"),
        (["wide"], {"wide": "x"}, "no requirement ''"),
        (["wide"], {"wide:R1": " "}, "not said why"),
        (["other"], {"wide:R9": "x"}, "no requirement 'R9'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    catalogue: Catalogue, names: list[str], reasons: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        scope_frameworks(catalogue, names, reasons)
    assert said in caught.value.what
    assert caught.value.mend

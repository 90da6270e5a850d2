"""A company's own frameworks: profiles of published ones, and catalogues in OSCAL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support_cli import auditpack
from support_controls import check_yaml, framework_yaml, make_catalogue

from controls.catalogue import Catalogue
from controls.models import Framework
from controls.oscal import framework_from_oscal
from controls.parameters import parameters_of, with_parameters
from controls.profiles import OwnProfile, resolve
from evidence.errors import DataError, UsageError


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    checks = [
        check_yaml(
            "aged",
            "encryption.bits <= param.most",
            control="a",
            parameters={
                "most": {"default": 90, "about": "x"},
                "word": {"default": "w", "about": "x"},
            },
            equivalents={"bench": ["B1"]},
        ),
        check_yaml("other", "encryption.rotated", control="b"),
    ]
    wide = framework_yaml("wide", {"R-1": ["a"], "R-1(1)": ["b"], "R-2": ["b"]})
    wide["profiles"] = [{"id": "low", "title": "Low"}]
    wide["requirements"][2]["profiles"] = ["low"]
    wide["groups"].append({"id": "H", "title": "Other"})
    wide["requirements"][2]["group"] = "H"
    bench = framework_yaml("bench", {"B1": ["b"]}, benchmark="bench")
    return make_catalogue(tmp_path, checks, frameworks=[wide, bench])


def own(**changes: Any) -> OwnProfile:
    given = {"id": "ours", "title": "Ours", "about": "x", "imports": [{"framework": "wide"}]}
    return OwnProfile.model_validate({**given, **changes})


def ids(profile: OwnProfile, catalogue: Catalogue) -> list[str]:
    return [item.id for item in resolve(profile, catalogue.frameworks).requirements]


def test_requirements_are_included_and_excluded_by_id(catalogue: Catalogue) -> None:
    def imported(**item: Any) -> list[str]:
        return ids(own(imports=[{"framework": "wide", **item}]), catalogue)

    assert imported() == ["R-1", "R-1(1)", "R-2"]
    assert imported(include=["R-1*"], exclude=["R-1(1)"]) == ["R-1"]
    assert imported(exclude=["R-1*"]) == ["R-2"]
    assert imported(profile="low") == ["R-1", "R-1(1)", "R-2"], "those of no profile are in all"


def test_a_group_without_requirements_is_left_out(catalogue: Catalogue) -> None:
    found = resolve(own(imports=[{"framework": "wide", "exclude": ["R-2"]}]), catalogue.frameworks)
    assert [group.id for group in found.groups] == ["G"]


def test_several_frameworks_keep_apart_and_benchmarks_their_checks(catalogue: Catalogue) -> None:
    both = own(imports=[{"framework": "wide"}, {"framework": "bench"}])
    found = resolve(both, catalogue.frameworks)
    assert [item.id for item in found.requirements] == [
        "wide:R-1",
        "wide:R-1(1)",
        "wide:R-2",
        "bench:B1",
    ]
    assert [check.id for check in catalogue.checks_of(found, found.requirements[3])] == ["aged"]
    assert [check.id for check in catalogue.checks_of(found, found.requirements[2])] == ["other"]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"framework": "narrow"}, "no framework 'narrow'"),
        ({"framework": "wide", "profile": "high"}, "no profile 'high'"),
        ({"framework": "wide", "include": ["Q*"]}, "called 'Q*'"),
        ({"framework": "wide", "exclude": ["r-1"]}, "called 'r-1'"),
    ],
)
def test_an_import_of_what_does_not_exist_is_refused(
    catalogue: Catalogue, item: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(own(imports=[item]), catalogue.frameworks)
    assert said in caught.value.what


def test_parameters_are_set_and_only_there(catalogue: Catalogue) -> None:
    changed = with_parameters(catalogue, {"aged.most": 30})
    assert changed.checks["aged"].parameters["most"].default == 30
    assert catalogue.checks["aged"].parameters["most"].default == 90
    assert changed.digest != catalogue.digest, "what was judged by is sealed"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("aged.mist", 1, "no parameter 'aged.mist'"),
        ("most", 1, "no parameter 'most'"),
        ("aged.most", "many", "is a whole number, not 'many'"),
        ("aged.most", True, "is a whole number, not True"),
        ("aged.word", 5, "is text, not 5"),
    ],
)
def test_a_parameter_that_is_not_there_or_of_another_kind_is_refused(
    catalogue: Catalogue, name: str, value: Any, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        with_parameters(catalogue, {name: value})
    assert said in caught.value.what


def test_two_frameworks_may_not_set_one_parameter_differently() -> None:
    one, two, three = (
        Framework.model_validate(framework_yaml(name, {"R": ["a"]}, parameters={"c.p": value}))
        for name, value in (("one", 1), ("two", 2), ("three", 1))
    )
    assert parameters_of([one, three]) == {"c.p": 1}
    with pytest.raises(UsageError, match="differently: 1 and 2"):
        parameters_of([one, two])


def test_a_profile_is_one_file_and_a_framework_like_any_other(tmp_path: Path) -> None:
    folder = tmp_path / "auditpack.d" / "profiles"
    folder.mkdir(parents=True)
    file = folder / "strict_google.yaml"
    text = {
        "id": "strict_google",
        "title": "Strict Google",
        "about": "Keys sooner than the benchmark asks.",
        "imports": [{"framework": "cis_gcp_5.0", "include": ["1.11"]}],
        "parameters": {"gcp_kms_crypto_key_rotates_in_time.max_days": 30},
    }
    file.write_text(yaml.safe_dump(text))
    said = auditpack("explain", "strict_google:1.11", "--json", cwd=tmp_path).json
    assert any("gcp_kms_crypto_key_rotates_in_time" in item for item in said["checks"])
    file.write_text(yaml.safe_dump({**text, "imports": [{"framework": "cis_gcp_9"}]}))
    refused = auditpack("list", "frameworks", cwd=tmp_path)
    assert refused.code == 2
    assert "strict_google.yaml" in refused.err


# -------------------------------------------------------------------------------------- OSCAL

OSCAL = {
    "catalog": {
        "uuid": "8a4a6bd4-0000-4000-8000-000000000000",
        "metadata": {"title": "Our rules", "version": "2", "parties": [{"name": "Ourselves"}]},
        "groups": [
            {
                "id": "ac",
                "title": "Access",
                "controls": [
                    {
                        "id": "ac-2",
                        "title": "Accounts",
                        "props": [
                            {"name": "label", "class": "zero-padded", "value": "AC-02"},
                            {"name": "label", "value": "AC-2"},
                        ],
                        "controls": [
                            {"id": "ac-2.1", "title": "Automated", "props": []},
                            {
                                "id": "ac-2.10",
                                "title": "Gone",
                                "props": [{"name": "status", "value": "withdrawn"}],
                            },
                        ],
                    }
                ],
            }
        ],
        "controls": [{"id": "zz-1", "title": "In no group"}],
    }
}


def test_an_oscal_catalogue_becomes_requirements() -> None:
    like = Framework.model_validate(framework_yaml("like", {"AC-2": ["a"], "AC-2(1)": ["b", "c"]}))
    found = framework_from_oscal(OSCAL, framework_id="rules", like=like)
    assert {item.id: item.controls for item in found.requirements} == {
        "zz-1": (),
        "AC-2": ("a",),
        "ac-2.1": ("b", "c"),
    }
    assert [(group.id, group.title) for group in found.groups] == [
        ("catalog", "Our rules"),
        ("ac", "Access"),
    ]
    assert (found.version, found.publisher) == ("2", "Ourselves")
    unmapped = next(item for item in found.requirements if item.id == "zz-1")
    assert unmapped.manual_evidence[0].type == "attestation"


@pytest.mark.parametrize("document", [[], {}, {"profile": {}}, {"catalog": {"metadata": {}}}])
def test_what_is_no_catalogue_is_refused(document: Any) -> None:
    with pytest.raises(DataError) as caught:
        framework_from_oscal(document, framework_id="rules", where="file.json")
    assert caught.value.where == "file.json"


def test_importing_writes_one_file_that_is_sound(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(json.dumps(OSCAL))
    said = auditpack("framework", "import", "rules.json", "--json", cwd=tmp_path)
    assert said.code == 0, said.err
    assert (said.json["requirements"], said.json["mapped"]) == (3, 0)
    listed = auditpack("list", "frameworks", "--json", cwd=tmp_path).json
    assert next(item for item in listed if item["id"] == "rules")["requirements"] == 3
    assert auditpack("lint", cwd=tmp_path).code == 0
    again = auditpack("framework", "import", "rules.json", cwd=tmp_path)
    assert again.code == 2
    assert "already" in again.err
    (tmp_path / "rules.json").write_text("{")
    assert auditpack("framework", "import", "rules.json", "--id", "x", cwd=tmp_path).code == 2

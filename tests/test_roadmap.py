"""The roadmap: phases first, then what builds on what, then weight; the same order everywhere."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support_controls import check_yaml, framework_yaml
from test_catalogue import catalogue

from controls.models import Check, Framework, Severity
from controls.openings import OpenRequirement, in_short, open_requirements
from controls.roadmap import Phase, Step, failing_weight, roadmap_of

PHASES = ("p1", "p2", "p3", "p4")
AREAS = ("A", "B")
CONTROLS = ("a", "b", "c")
CHECKS = {
    f"{control}_{severity.value}": Check.model_validate(
        check_yaml(f"{control}_{severity.value}", "true", control=control, severity=severity.value)
    )
    for control in CONTROLS
    for severity in Severity
}

Given = tuple[str, int, int, str, str]
worlds = st.lists(
    st.tuples(
        st.sampled_from(AREAS),
        st.integers(2, 5),
        st.integers(0, 3),
        st.sampled_from(CONTROLS),
        st.sampled_from(["satisfied", "not_satisfied", "not_evidenced", "not_applicable"]),
    ),
    min_size=1,
    max_size=12,
)
findings = st.dictionaries(
    st.sampled_from(sorted(CHECKS)),
    st.fixed_dictionaries({"fail": st.integers(0, 4), "not_evidenced": st.integers(0, 2)}),
)


def framework_of(world: list[Given], profiles: tuple[str, ...] = PHASES) -> Framework:
    document = framework_yaml("f", {f"R{n}": [item[3]] for n, item in enumerate(world)})
    document["groups"] = [{"id": name, "title": name} for name in AREAS]
    document["profiles"] = [{"id": name, "title": f"Phase {name}"} for name in profiles]
    for item, (area, level, phase, _, _) in zip(document["requirements"], world, strict=True):
        item.update(group=area, level=level, profiles=[profiles[phase]] if profiles else [])
        item["manual_evidence"] = [{"type": "report", "about": f"Report on {item['id']}"}]
    return Framework.model_validate(document)


OTHERS = {
    name: Framework.model_validate(framework_yaml(name, named))
    for name, named in {
        "one": {"1": ["a"], "2": ["a", "b"]},
        "two": {"1": ["a"], "2": ["z"]},
    }.items()
}


def openings_of(
    framework: Framework, world: list[Given], by_check: dict[str, dict[str, int]]
) -> list[OpenRequirement]:
    result: dict[str, Any] = {
        "requirements": [
            {
                "id": f"R{n}",
                "status": item[4],
                "checks": [name for name in sorted(CHECKS) if CHECKS[name].control == item[3]],
            }
            for n, item in enumerate(world)
        ]
    }
    return open_requirements(framework, result, CHECKS, {}, by_check)


def planned(
    world: list[Given], by_check: dict[str, dict[str, int]], profiles: tuple[str, ...] = PHASES
) -> tuple[Phase, ...]:
    framework = framework_of(world, profiles)
    openings = openings_of(framework, world, by_check)
    return roadmap_of(framework, openings, {"f": framework, **OTHERS})


def names(steps: tuple[Step, ...]) -> list[str]:
    return [step.opening.requirement.id for step in steps]


@given(worlds, findings)
def test_every_open_requirement_is_one_step_in_its_phase(
    world: list[Given], found: dict[str, dict[str, int]]
) -> None:
    phases = planned(world, found)
    assert [phase.id for phase in phases] == list(PHASES)
    for number, phase in enumerate(phases):
        inside = {f"R{n}" for n, item in enumerate(world) if item[2] == number}
        still_open = {
            f"R{n}" for n, item in enumerate(world) if item[4] in ("not_satisfied", "not_evidenced")
        }
        assert sorted(names(phase.steps)) == sorted(inside & still_open)
        assert phase.of == len(inside)
    places = [step.place for phase in phases for step in phase.steps]
    assert places == list(range(1, len(places) + 1))


@given(worlds, findings)
def test_what_a_level_builds_on_comes_first_and_then_weight(
    world: list[Given], found: dict[str, dict[str, int]]
) -> None:
    for phase in planned(world, found):
        for place, step in enumerate(phase.steps):
            later = phase.steps[place + 1 :]
            own = step.opening.requirement
            for other in later:
                theirs = other.opening.requirement
                if theirs.group == own.group:
                    assert (theirs.level or 0) >= (own.level or 0)
                lower = set(other.after) & set(names(phase.steps[place:]))
                if not lower:  # it could have come now: then it weighs no more
                    assert (step.failing_weight, step.serves) >= (
                        other.failing_weight,
                        other.serves,
                    )


@given(worlds, findings, st.integers())
def test_the_order_does_not_hang_on_the_order_of_what_goes_in(
    world: list[Given], found: dict[str, dict[str, int]], seed: int
) -> None:
    framework = framework_of(world)
    openings = openings_of(framework, world, found)
    shuffled, others = list(openings), list({"f": framework, **OTHERS}.items())
    random.Random(seed).shuffle(shuffled)
    random.Random(seed).shuffle(others)
    first = roadmap_of(framework, openings, {"f": framework, **OTHERS})
    second = roadmap_of(framework, shuffled, dict(others))
    assert [names(phase.steps) for phase in first] == [names(phase.steps) for phase in second]


def test_a_step_says_what_to_do_and_why_now() -> None:
    world: list[Given] = [
        ("A", 3, 0, "a", "not_satisfied"),
        ("A", 2, 0, "c", "not_evidenced"),
        ("B", 2, 0, "b", "not_satisfied"),
        ("B", 2, 1, "a", "satisfied"),
    ]
    found = {
        "a_critical": {"fail": 3},
        "a_low": {"fail": 1, "not_evidenced": 2},
        "b_low": {"fail": 4},
        "c_high": {"not_evidenced": 1},
    }
    phases = planned(world, found)
    assert names(phases[0].steps) == ["R2", "R1", "R0"]
    assert phases[1].steps == ()
    last = phases[0].steps[-1]
    assert last.after == ("R1",)
    assert last.failing_weight == 3 * 10 + 1
    assert last.serves == 3
    told = json.loads(json.dumps(last.as_dict()))
    assert [check["id"] for check in told["failing_checks"]] == ["a_critical", "a_low"]
    assert told["failing_checks"][0]["remediation"] == "Mend it."
    assert told["failing_checks"][0]["findings"] == 3
    assert [check["id"] for check in told["checks_without_evidence"]] == ["a_low"]
    assert told["evidence_from_people"] == [{"type": "report", "about": "Report on R0"}]
    assert in_short(last.opening) == (
        "2 checks fail, 1 check could not be judged, 1 piece of evidence to bring"
    )


def test_a_framework_without_phases_is_one() -> None:
    world: list[Given] = [("A", 2, 0, "a", "not_evidenced"), ("B", 2, 0, "b", "satisfied")]
    (only,) = planned(world, {}, ())
    assert (only.id, only.of, names(only.steps)) == ("", 2, ["R0"])


def test_severity_weighs_as_in_scores() -> None:
    world: list[Given] = [("A", 2, 0, "a", "not_satisfied")]
    framework = framework_of(world)
    (one,) = openings_of(framework, world, {"a_informational": {"fail": 9}, "a_high": {"fail": 2}})
    assert failing_weight(one) == 2 * 5


def test_each_practice_has_one_phase_and_all_phases_have_some() -> None:
    framework = catalogue().framework("operational_excellence")
    result: dict[str, Any] = {"requirements": []}
    openings = open_requirements(framework, result, {}, catalogue().controls, {})
    phases = roadmap_of(framework, openings, catalogue().frameworks)
    assert sum(len(phase.steps) for phase in phases) == len(framework.requirements) == 50
    assert all(phase.steps for phase in phases)
    assert len(phases) == 4
    assert all(step.opening.evidence for phase in phases for step in phase.steps)

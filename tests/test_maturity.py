"""Maturity: a level says no more than what holds, and nothing but evidence raises it."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_controls import framework_yaml
from test_catalogue import catalogue

from controls.maturity import (
    LEVELS,
    TOP,
    Maturity,
    has_levels,
    level_reached,
    maturity_of,
)
from controls.models import Framework
from controls.openings import HOLDS, NOT_JUDGED, OpenRequirement, open_requirements
from controls.scoring import one_decimal

STATUSES = ("satisfied", "not_satisfied", "not_evidenced", "not_applicable", "excepted")
AREAS = ("A", "B", "C")
requirements = st.lists(
    st.tuples(st.sampled_from(AREAS), st.integers(2, TOP), st.sampled_from(STATUSES)),
    min_size=1,
    max_size=14,
)

World = list[tuple[str, int, str]]


def framework_of(world: World, **changes: Any) -> Framework:
    document = framework_yaml("f", {f"R{n}": ["a"] for n in range(len(world))}, **changes)
    document["groups"] = [{"id": name, "title": f"Area {name}"} for name in AREAS]
    for item, (area, level, _) in zip(document["requirements"], world, strict=True):
        item.update(group=area, level=level)
        item["manual_evidence"] = [{"type": "record", "about": f"Record for {item['id']}"}]
    return Framework.model_validate(document)


def result_of(world: World) -> dict[str, Any]:
    return {
        "id": "f",
        "requirements": [
            {"id": f"R{n}", "status": status, "checks": []}
            for n, (_, _, status) in enumerate(world)
        ],
    }


def openings_of(framework: Framework, result: dict[str, Any]) -> list[OpenRequirement]:
    return open_requirements(framework, result, {}, {}, {})


def measured(world: World) -> Maturity:
    framework, result = framework_of(world), result_of(world)
    return maturity_of(framework, result, openings_of(framework, result))


def levels(found: Maturity) -> dict[str, int]:
    """Area -> level; one without a level stands above all, since it asks for nothing."""
    named = {area.id: area.level for area in found.areas}
    return {name: TOP + 1 if named.get(name) is None else named[name] or 0 for name in AREAS}


@given(requirements)
def test_a_level_is_the_highest_up_to_which_everything_holds(world: World) -> None:
    for area in measured(world).areas:
        own = [(level, status) for name, level, status in world if name == area.id]
        if area.level is None:
            assert {status for _, status in own} == {"not_applicable"}
            continue
        assert 1 <= area.level <= TOP
        assert all(status in HOLDS for level, status in own if level <= area.level)
        if area.level < TOP:
            assert any(status not in HOLDS for level, status in own if level == area.level + 1)


@given(requirements)
def test_what_is_missing_is_what_is_open_at_the_next_level(world: World) -> None:
    for area in measured(world).areas:
        wanted = [
            f"R{n}"
            for n, (name, level, status) in enumerate(world)
            if name == area.id and level == area.next_level and status not in HOLDS
        ]
        assert [item.requirement.id for item in area.missing] == wanted
        assert bool(wanted) == (area.next_level is not None)


@given(requirements)
def test_closing_what_is_missing_reaches_the_next_level(world: World) -> None:
    for area in measured(world).areas:
        if area.next_level is None or area.level is None:
            continue
        closed = {item.requirement.id for item in area.missing}
        mended = [
            (name, level, "satisfied" if f"R{n}" in closed else status)
            for n, (name, level, status) in enumerate(world)
        ]
        assert levels(measured(mended))[area.id] >= area.next_level


@given(requirements, st.sampled_from(AREAS), st.integers(2, TOP))
def test_one_more_that_is_satisfied_never_lowers(world: World, area: str, level: int) -> None:
    before, after = measured(world), measured([*world, (area, level, "satisfied")])
    for found in before.areas:
        if found.level is not None:
            assert levels(after)[found.id] >= found.level
    if before.lowest is not None and before.mean is not None:
        assert (after.lowest or 0) >= before.lowest
        assert (after.mean or 0) >= before.mean


@given(requirements, st.data())
def test_what_is_not_evidenced_never_raises(world: World, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(world) - 1))
    status = data.draw(st.sampled_from(["not_evidenced", "not_satisfied", NOT_JUDGED, "new word"]))
    lost = [
        (name, level, status if n == place else before)
        for n, (name, level, before) in enumerate(world)
    ]
    before, after = measured(world), measured(lost)
    for name in AREAS:
        assert levels(after)[name] <= levels(before)[name]
    assert (after.lowest or TOP + 1) <= (before.lowest or TOP + 1)


@given(requirements, st.data())
def test_a_requirement_that_an_assessment_leaves_out_is_open(
    world: World, data: st.DataObject
) -> None:
    framework, result = framework_of(world), result_of(world)
    kept = data.draw(st.sets(st.integers(0, len(world) - 1)))
    result["requirements"] = [item for n, item in enumerate(result["requirements"]) if n in kept]
    found = maturity_of(framework, result, openings_of(framework, result))
    assert all(levels(found)[name] <= levels(measured(world))[name] for name in AREAS)
    left_out = {f"R{n}" for n in range(len(world))} - {f"R{n}" for n in kept}
    openings = {item.requirement.id: item.status for item in openings_of(framework, result)}
    assert {name for name, status in openings.items() if status == NOT_JUDGED} == left_out


@given(requirements)
def test_the_overall_level_is_the_lowest_and_the_mean_is_exact(world: World) -> None:
    found = measured(world)
    known = [area.level for area in found.areas if area.level is not None]
    assert found.lowest == min(known, default=None)
    assert found.mean == (Fraction(sum(known), len(known)) if known else None)
    assert {area.id for area in found.areas} == {name for name, _, _ in world}


def test_a_level_by_hand() -> None:
    assert level_reached([(2, "satisfied"), (3, "not_satisfied"), (4, "satisfied")]) == 2
    assert level_reached([(2, "not_evidenced"), (5, "satisfied")]) == 1
    assert level_reached([(2, "satisfied"), (5, "not_applicable")]) == 5
    assert level_reached([(2, "not_applicable"), (3, "not_applicable")]) is None
    assert level_reached([(2, "not_applicable"), (3, "excepted")]) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(5, 4), "1.3"),
        (Fraction(49, 20), "2.5"),
        (Fraction(33, 10), "3.3"),
        (Fraction(4, 3), "1.3"),
        (Fraction(5), "5.0"),
        (None, None),
    ],
)
def test_means_are_rounded_half_up(value: Fraction | None, text: str | None) -> None:
    assert one_decimal(value) == text


def test_plain_data_says_everything() -> None:
    document = measured([("A", 2, "satisfied"), ("A", 3, "not_evidenced"), ("B", 4, "satisfied")])
    told = json.loads(json.dumps(document.as_dict()))
    assert (told["level"], told["level_name"], told["mean_level"]) == (2, "repeatable", "3.5")
    area = told["areas"][0]
    assert (area["level"], area["next_level"]) == (2, 3)
    assert area["requirements_by_level"]["3"] == {"held": 0, "of": 1}
    assert area["missing"][0]["id"] == "R1"
    assert area["missing"][0]["evidence_from_people"] == [
        {"type": "record", "about": "Record for R1"}
    ]
    assert told["areas"][1]["next_level"] is None


def test_only_levels_of_maturity_count() -> None:
    world: World = [("A", 2, "satisfied"), ("A", 5, "satisfied")]
    assert has_levels(framework_of(world))
    assert not has_levels(framework_of(world, benchmark="cis"))
    assert not has_levels(framework_of([*world, ("A", 1, "satisfied")]))
    assert not has_levels(framework_of([]))
    having = [name for name, item in catalogue().frameworks.items() if has_levels(item)]
    assert having == ["operational_excellence"]


def test_the_practice_asks_for_something_at_every_level_of_every_area() -> None:
    framework = catalogue().framework("operational_excellence")
    for group in framework.groups:
        own = [item.level for item in framework.requirements if item.group == group.id]
        assert set(own) == set(LEVELS) - {1}, group.id

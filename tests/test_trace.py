"""The trace: every bullet of the practice's document is carried by something that is there."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from test_catalogue import catalogue

from controls.trace import MATURITY, SCOPE, Trace, kpi_ids, load_trace, problems_of

ROOT = Path(__file__).parent.parent
NAME = "operational-excellence"


def problems(trace: Trace, kpis: list[str] | None = None) -> list[str]:
    found = catalogue()
    with_checks = {check.control for check in found.checks.values()}
    framework = found.framework(trace.framework)
    known = kpi_ids() if kpis is None else kpis
    return list(problems_of(trace, framework, found.controls, with_checks, known))


def test_every_bullet_of_the_document_is_there() -> None:
    trace = load_trace(NAME)
    assert len(trace.bullets) == 107
    assert Counter(bullet.kind for bullet in trace.bullets) == {
        "scope": 9,
        "practice": 50,
        "figure": 20,
        "phase": 16,
        "result": 12,
    }
    assert all(bullet.topic and bullet.section for bullet in trace.bullets)


def test_all_that_it_names_is_there_and_all_that_is_there_carries_something() -> None:
    assert problems(load_trace(NAME)) == []


def test_each_practice_is_one_requirement_in_its_phase() -> None:
    trace, framework = load_trace(NAME), catalogue().framework("operational_excellence")
    by_id = {item.id: item for item in framework.requirements}
    carried = []
    for bullet in trace.bullets:
        if bullet.kind == "practice":
            (name,) = (carrier for carrier in bullet.carried_by if carrier in by_id)
            assert bullet.topic == by_id[name].title
            assert set(bullet.carried_by) == {name, MATURITY, *by_id[name].profiles}
            carried.append(name)
    assert carried == list(by_id)


def test_items_of_a_phase_are_carried_by_it_and_by_requirements_that_it_has() -> None:
    framework = catalogue().framework("operational_excellence")
    phases = [profile.id for profile in framework.profiles]
    phase_of = {item.id: item.profiles[0] for item in framework.requirements}
    for bullet in load_trace(NAME).bullets:
        if bullet.kind == "phase":
            (phase,) = (name for name in bullet.carried_by if name in phases)
            own = [phase_of[name] for name in bullet.carried_by if name in phase_of]
            assert phase in own
            assert all(phases.index(name) <= phases.index(phase) for name in own), bullet.line


def test_a_figure_is_one_kpi_and_what_is_left_out_is_said_to_be() -> None:
    kpis = []
    for bullet in load_trace(NAME).bullets:
        if bullet.kind == "figure":
            assert bullet.evidence.figures == bullet.carried_by[:1]
            kpis.append(bullet.carried_by[0])
        assert (SCOPE in bullet.carried_by) == (bullet.section == "What it leaves out")
    assert len(set(kpis)) == 20


def document(**changes: Any) -> dict[str, Any]:
    bullet = {
        "line": 3,
        "section": "One",
        "topic": "A thing",
        "kind": "practice",
        "carried_by": ["REL-01", "mttr"],
        "evidence": {"checks": ["backup"], "people": ["record"], "figures": ["mttr"]},
        **changes,
    }
    return {
        "id": "x",
        "framework": "operational_excellence",
        "title": "X",
        "about": "for tests",
        "bullets": [bullet],
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"carried_by": ["REL-1"]}, "line 3: carried by 'REL-1': there is none; nearest is"),
        ({"carried_by": ["mttf"]}, "line 3: carried by 'mttf': there is none; nearest is 'mttr'"),
        ({"evidence": {"checks": ["backups"]}}, "line 3: checks of 'backups': there is none"),
        ({"evidence": {"figures": ["mtt"]}}, "line 3: figure 'mtt': there is none"),
        ({"evidence": {"people": ["poem"]}}, "line 3: from people 'poem': there is none"),
    ],
)
def test_names_of_what_is_not_there_are_found(changes: dict[str, Any], said: str) -> None:
    found = problems(Trace.model_validate(document(**changes)), ["mttr"])
    assert any(problem.startswith(said) for problem in found), found


def test_what_carries_nothing_is_found() -> None:
    found = problems(Trace.model_validate(document()), ["mttr", "mtbf"])
    assert "REL-01 carries no bullet" not in found
    for name in ("REL-02", "phase-1", "mtbf"):
        assert f"{name} carries no bullet" in found


def test_a_trace_is_refused_that_is_out_of_order_or_proves_nothing() -> None:
    good = document()
    with pytest.raises(ValidationError, match="do not rise"):
        Trace.model_validate({**good, "bullets": [*good["bullets"], *good["bullets"]]})
    with pytest.raises(ValidationError, match="nothing that could prove"):
        Trace.model_validate(document(evidence={}))
    with pytest.raises(ValidationError, match="at least 1 item"):
        Trace.model_validate(document(carried_by=[]))


def test_the_page_is_current() -> None:
    page = ROOT / "docs" / "operational-excellence.md"
    before = page.read_text("utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "scripts/trace.py"],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert page.read_text("utf-8") == before, "run python scripts/trace.py"
    finally:
        page.write_text(before, "utf-8")

"""KPIs: exact figures over records and our own history; no data is never 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support_cli import auditpack
from support_controls import (
    FINISHED,
    SCHEMAS,
    Unit,
    check_yaml,
    framework_yaml,
    home,
    make_catalogue,
    sealer,
    sound_check,
    vault,
    write_unit,
)

from controls.assessment import assess
from controls.database import open_database
from controls.kpi_gate import kpi_problems
from controls.kpi_history import PastAssessment, create_history, past_assessments, snapshot_before
from controls.kpi_models import KpiSet, KpiValue, rounded
from controls.kpis import KpiError, load_kpis, measure_kpis, state_tables
from evidence.errors import DataError
from evidence.outcome import Outcome
from evidence.schema import Facet, Field, TableSchema
from evidence.snapshot import Snapshot, SnapshotRun
from evidence.store import Store
from evidence.units import UnitKey, UnitRecord, UnitWriter

WANTED = (
    "availability mttr mtbf error-rate slo-achievement deployment-frequency lead-time"
    " change-failure-rate capacity-utilisation cost-per-transaction security-incident-frequency"
    " vulnerability-remediation-time compliance-score policy-violation-rate"
    " access-review-completion audit-finding-resolution risk-mitigation-effectiveness"
    " change-approval-time documentation-completeness training-completion"
)

_COLUMNS = {
    "record_incident": "id title service severity kind started:t detected:t resolved:t"
    " postmortem:b lessons",
    "record_change": "id service requested:t approved:t approved_by requested_by implemented:t"
    " outcome risk emergency:b",
    "record_deployment": "id service committed:t deployed:t outcome",
    "record_training": "id person course assigned:t due:t completed:t",
    "record_risk": "id title owner rating_before:n rating_now:n treatment opened:t reviewed:t"
    " closed:t",
    "record_document": "id title owner approved:t review_due:t required:b exists:b",
    "record_audit_finding": "id title severity opened:t due:t resolved:t",
    "record_service_level": "id service period_start:t period_end:t objective:n achieved:n"
    " requests:i errors:i downtime_minutes:n",
    "record_cost": "id service period_start:t period_end:t cost:n currency transactions:i",
    "record_capacity": "id service measured:t resource used:n available:n",
    "record_access_review": "id campaign started:t due:t completed:t items:i decided:i",
}
_TYPES = {"": "text", "t": "timestamp", "b": "boolean", "n": "number", "i": "integer"}


def _schema(name: str, columns: str) -> TableSchema:
    fields = tuple(
        Field(column, _TYPES[kind])
        for column, _, kind in (word.partition(":") for word in columns.split())
    )
    return TableSchema(name, "records", "global", (Facet("record", fields),))


RECORDS = {name: _schema(name, columns) for name, columns in _COLUMNS.items()}
"""Tables of records, as KPIs read them."""


def deployment(name: str, deployed: str | None, outcome: str | None = "successful") -> Any:
    """A record of a deployment, committed at the beginning of 2025."""
    return {
        "id": name,
        "deployed": deployed,
        "outcome": outcome,
        "committed": "2025-01-01T00:00:00",
    }


def snapshot_of(
    root: Path,
    rows: Mapping[str, Sequence[dict[str, Any]]],
    *,
    as_of: str = "2026-01-01T00:00:00Z",
    listed: Mapping[str, Outcome] | None = None,
    schemas: Mapping[str, TableSchema] = RECORDS,
) -> Snapshot:
    """Seal a snapshot of records, a unit a type that has rows (or an outcome in `listed`)."""
    store = Store.open(root, create=True)
    name = as_of.replace("-", "").replace(":", "") + "-test"
    run = SnapshotRun.start(store, name, {"started": as_of, "scope": {}, "organisation": "Us"})
    outcomes = {**dict.fromkeys(rows, Outcome.OK), **(listed or {})}
    for kind, outcome in outcomes.items():
        _write(run, kind, rows.get(kind, ()), outcome)
    run.seal([schemas[kind] for kind in outcomes], FINISHED, sealer())
    return Snapshot.open(store, name)


def _write(run: SnapshotRun, kind: str, rows: Sequence[dict[str, Any]], outcome: Outcome) -> None:
    key = UnitKey("records", "records", "global", kind)
    writer = UnitWriter(run.folder, key)
    for row in rows:
        reference = writer.keep_capture(b'{"line":1}')
        fields = {field.name: row.get(field.name) for field in RECORDS[kind].facets[0].fields}
        identity = {"provider": "records", "account": "records", "region": "global"}
        identity |= {"id": row["id"], "name": row["id"], "tags": {}}
        more = {"record": fields, "errors": {}, "captures": {"record": [reference]}}
        writer.write_row(identity | more)
    detail = "" if outcome.observed else "incidents.csv cannot be read"
    writer.commit(UnitRecord(key, outcome, detail, len(rows), writer.records, 0))


def one(name: str, values: Sequence[KpiValue]) -> KpiValue:
    """The value of one KPI."""
    return next(value for value in values if value.kpi.id == name)


def measured(snapshot: Snapshot, name: str, **more: Any) -> KpiValue:
    """Measure one built-in KPI."""
    return one(name, measure_kpis(snapshot, load_kpis(), **more))


# ------------------------------------------------------------------------------- the built-in ones


def test_all_kpis_are_there_and_pass_the_gate() -> None:
    known = load_kpis()
    assert sorted(known.kpis) == sorted(WANTED.split())
    assert kpi_problems(known, RECORDS) == []
    for kpi in known.kpis.values():
        assert kpi.about, kpi.id
        assert kpi.source, kpi.id


def test_without_any_table_everything_is_no_data_and_says_why(tmp_path: Path) -> None:
    values = measure_kpis(snapshot_of(tmp_path, {}), load_kpis())
    assert {value.state for value in values} == {"no data"}
    assert {value.value for value in values} == {None}
    assert one("mttr", values).why == "record_incident was not collected"
    assert "the store holds no assessment" in one("compliance-score", values).why


# ------------------------------------------------------------------------------------- measuring


def test_a_value_counts_its_rows_and_cites_their_captures(tmp_path: Path) -> None:
    rows = [deployment(f"d{n:02}", f"2025-12-{n:02}T00:00:00") for n in range(1, 31)]
    rows += [deployment("x", None), deployment("y", "2025-12-01T00:00:00", None)]
    value = measured(snapshot_of(tmp_path, {"record_deployment": rows}), "deployment-frequency")
    assert (value.value, value.state) == (Decimal("0.33"), "missed")
    assert (value.measured.numerator, value.measured.denominator) == (30, 90)
    assert (value.measured.rows, value.measured.left_out) == (30, 2)
    assert len(value.measured.captures) == 10
    assert value.measured.captures[0].startswith("records/records/global/record_deployment#")


def test_the_window_ends_at_the_snapshots_time_and_leaves_out_its_own_start(tmp_path: Path) -> None:
    rows = [
        deployment("first", "2025-10-03T00:00:00"),  # 90 days before, to the second
        deployment("second", "2025-10-03T00:00:01"),
        deployment("last", "2026-01-01T00:00:00"),
        deployment("later", "2026-01-01T00:00:01"),
    ]
    value = measured(snapshot_of(tmp_path, {"record_deployment": rows}), "deployment-frequency")
    assert value.measured.rows == 2


def test_a_trend_is_against_the_window_before(tmp_path: Path) -> None:
    rows = [deployment(f"d{n}", f"2025-12-0{n}T00:00:00") for n in range(1, 10)]
    rows += [deployment(f"e{n}", f"2025-09-0{n}T00:00:00") for n in range(1, 6)]
    found = measured(snapshot_of(tmp_path, {"record_deployment": rows}), "deployment-frequency")
    assert found.trend is not None
    assert (found.trend.direction, found.trend.previous) == ("better", Decimal("0.06"))
    assert found.trend.previous_as_of == "2025-10-03T00:00:00Z"


def test_less_is_better_where_the_target_is_a_ceiling(tmp_path: Path) -> None:
    def change(name: str, month: str, outcome: str) -> dict[str, Any]:
        return {"id": name, "implemented": f"2025-{month}-05T00:00:00", "outcome": outcome}

    rows = [change("a", "12", "failed"), change("b", "09", "successful")]
    found = measured(snapshot_of(tmp_path, {"record_change": rows}), "change-failure-rate")
    assert found.trend is not None
    assert (found.value, found.state, found.trend.direction) == (
        Decimal("100.0"),
        "missed",
        "worse",
    )


def test_a_state_is_compared_with_the_snapshot_before(tmp_path: Path) -> None:
    def documents(exist: bool) -> dict[str, Any]:
        known = {"required": True, "approved": "2025-01-01T00:00:00"}
        return {
            "record_document": [
                {"id": "a", "exists": True, **known},
                {"id": "b", "exists": exist, **known},
            ]
        }

    earlier = snapshot_of(tmp_path, documents(exist=False), as_of="2025-12-01T00:00:00Z")
    now = snapshot_of(tmp_path, documents(exist=True))
    assert measured(now, "documentation-completeness").trend is None
    store, wanted = Store.open(tmp_path), state_tables(load_kpis())
    assert wanted == {"record_document", "record_risk"}
    before = snapshot_before(store, now, ["record_document"])
    assert before is not None
    assert before.id == earlier.id
    assert snapshot_before(store, now, wanted) is None, "no earlier one has risks"
    assert snapshot_before(store, earlier, ["record_document"]) is None
    found = measured(now, "documentation-completeness", before=before)
    assert found.trend is not None
    assert (found.value, found.trend.previous) == (Decimal("100.0"), Decimal("50.0"))
    assert (found.trend.direction, found.trend.previous_as_of) == ("better", earlier.as_of)


def test_no_data_names_the_table_and_the_gap(tmp_path: Path) -> None:
    rows: dict[str, list[dict[str, Any]]] = {
        "record_change": [],
        "record_training": [{"id": "a", "due": "2024-01-01T00:00:00"}],
        "record_access_review": [{"id": "a", "due": "2025-12-01T00:00:00"}],
    }
    outcomes = {"record_incident": Outcome.ERROR}
    values = measure_kpis(snapshot_of(tmp_path, rows, listed=outcomes), load_kpis())
    why = {value.kpi.id: value.why for value in values if value.state == "no data"}
    assert why["mttr"] == (
        "record_incident was not read in records global: error incidents.csv cannot be read"
    )
    assert why["change-failure-rate"] == "record_change holds no rows"
    assert why["training-completion"] == (
        "record_training has no row that counts in the 365 days to 2026-01-01"
    )
    assert why["access-review-completion"] == (
        "no row of record_access_review in the 180 days to 2026-01-01 has all values needed;"
        " left out: 1"
    )


def test_a_table_without_the_column_is_no_data(tmp_path: Path) -> None:
    other = {"record_deployment": _schema("record_deployment", "id service")}
    snapshot = snapshot_of(tmp_path, {"record_deployment": []}, schemas=other)
    found = measured(snapshot, "deployment-frequency")
    assert found.state == "no data"
    assert "lack what the KPI reads" in found.why


def test_the_same_again_is_the_same(tmp_path: Path) -> None:
    rows = [deployment(f"d{n}", f"2025-12-0{n}T00:00:00") for n in range(1, 10)]
    snapshot = snapshot_of(tmp_path, {"record_deployment": rows})
    first = [value.as_dict() for value in measure_kpis(snapshot, load_kpis())]
    assert first == [value.as_dict() for value in measure_kpis(snapshot, load_kpis())]


def test_a_target_is_met_exactly_and_not_by_rounding() -> None:
    kpi = load_kpis().kpis["slo-achievement"]
    assert kpi.is_met_by(Fraction(95))
    assert rounded(Fraction("94.96"), kpi.decimals) == Decimal("95.0")
    assert not kpi.is_met_by(Fraction("94.96"))
    assert load_kpis().kpis["error-rate"].is_met_by(Fraction("0.1"))


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6), st.integers(0, 6))
def test_rounding_is_half_up_and_never_further_than_half_a_step(
    n: int, d: int, places: int
) -> None:
    exact = Fraction(n, d)
    shown = rounded(exact, places)
    assert abs(Fraction(shown) - exact) <= Fraction(1, 2 * 10**places)
    assert rounded(-exact, places) == -shown
    half = Fraction(2 * n + 1, 2 * 10**places)
    assert abs(Fraction(rounded(half, places))) > abs(half)


# --------------------------------------------------------------------------------------- history


NUMBERED = check_yaml(
    "numbered",
    "identity.number <> ''",
    resource="aws_home",
    reason="'number ' || identity.number",
    examples=[
        {"expect": "pass", "identity": {"number": "1"}},
        {"expect": "fail", "identity": {"number": ""}},
        {"expect": "not_evidenced"},
    ],
)
"""A check on homes, which passes, so that an account without vaults has a finding, too."""


def judged(folder: Path, as_of: str, vaults: Mapping[str, str], **options: Any) -> str:
    """Seal a snapshot of vaults (name -> algorithm; empty: not observed), judge it; return its id.

    With `listed`, the listing of vaults has another outcome; `check` is another name of the check.
    """
    store = Store.open(folder / "store", create=True)
    listed = options.get("listed", Outcome.OK)
    seen = tuple(
        vault(name, {}, **({"encryption": {"algorithm": value}} if value else {}))
        for name, value in vaults.items()
    )
    name = as_of.replace("-", "").replace(":", "") + "-test"
    run = SnapshotRun.start(store, name, {"started": as_of, "scope": {}})
    for unit in (Unit(seen, listed=listed), home(identity={"number": "1"})):
        write_unit(run.folder, unit, SCHEMAS[unit.resource_type])
    run.seal(list(SCHEMAS.values()), FINISHED, sealer())
    check = sound_check(options.get("check", "encrypted"))
    catalogue = make_catalogue(
        folder / as_of[:10] / "catalogue",
        [check, NUMBERED],
        frameworks=[framework_yaml("soc", {"1": [check["control"]]})],
    )
    snapshot = Snapshot.open(store, name)
    return assess(store, snapshot, catalogue, SCHEMAS, ["soc"], sealer()).id


def stretches(folder: Path, until: str = "2026-02-01T00:00:00Z") -> list[tuple[Any, ...]]:
    """The stretches of failing in a store's history: resource, first, last, resolved (days)."""
    past = past_assessments(Store.open(folder / "store"), until)
    with open_database(until) as database:
        create_history(database, past)
        found = database.execute(
            "SELECT replace(resource_id, 'arn:vault/', ''), strftime(first_failed, '%m-%d'),"
            " strftime(last_failed, '%m-%d'), strftime(resolved, '%m-%d') FROM history_findings"
            " ORDER BY ALL"
        )
        return found.fetchall()


def test_history_follows_a_finding_until_it_is_mended(tmp_path: Path) -> None:
    judged(tmp_path, "2025-12-01T00:00:00Z", {"a": "NONE", "b": "NONE", "c": "AES256"})
    judged(tmp_path, "2025-12-05T00:00:00Z", {"a": "NONE", "b": "AES256", "c": "AES256"})
    judged(tmp_path, "2025-12-09T00:00:00Z", {"a": "AES256", "b": "NONE", "c": "AES256"})
    assert stretches(tmp_path) == [
        ("a", "12-01", "12-05", "12-09"),
        ("b", "12-01", "12-01", "12-05"),
        ("b", "12-09", "12-09", None),
    ]
    assert stretches(tmp_path, "2025-12-06T00:00:00Z") == [
        ("a", "12-01", "12-05", None),
        ("b", "12-01", "12-01", "12-05"),
    ]


def test_what_is_not_known_is_not_mended(tmp_path: Path) -> None:
    judged(tmp_path, "2025-12-01T00:00:00Z", {"a": "NONE"})
    judged(tmp_path, "2025-12-02T00:00:00Z", {"a": ""})
    judged(tmp_path, "2025-12-03T00:00:00Z", {}, listed=Outcome.DENIED)
    judged(tmp_path, "2025-12-04T00:00:00Z", {}, check="another")
    assert stretches(tmp_path) == [("a", "12-01", "12-01", None)]
    judged(tmp_path, "2025-12-05T00:00:00Z", {})
    assert stretches(tmp_path) == [("a", "12-01", "12-01", "12-05")], "it was seen to be gone"


def test_history_gives_remediation_time_score_and_violations(tmp_path: Path) -> None:
    judged(tmp_path, "2025-09-01T00:00:00Z", {"a": "NONE"})
    judged(tmp_path, "2025-12-01T00:00:00Z", {"a": "NONE", "b": "NONE", "c": "AES256"})
    judged(tmp_path, "2025-12-11T12:00:00Z", {"a": "NONE", "b": "AES256", "c": "AES256"})
    judged(tmp_path, "2026-01-01T00:00:00Z", {"a": "AES256", "b": "AES256", "c": "AES256"})
    store = Store.open(tmp_path / "store")
    past = past_assessments(store, "2026-01-01T00:00:00Z")
    newest = measure_kpis(Snapshot.open(store), load_kpis(), past)
    time = one("vulnerability-remediation-time", newest)
    assert time.value == rounded(Fraction("132.5") / 2, 1)  # 122 days and 10.5 days
    assert (time.measured.rows, time.measured.left_out) == (2, 0)
    assert time.assessments == tuple(item.id for item in past)
    assert one("compliance-score", newest).value == Decimal("100.0")
    violations = one("policy-violation-rate", newest)
    assert (violations.value, violations.state) == (Decimal("0.0"), "met")
    assert violations.trend is not None
    assert (violations.trend.previous, violations.trend.direction) == (Decimal("50.0"), "better")
    second = Snapshot.open(store, "20251201T000000Z-test")
    values = measure_kpis(second, load_kpis(), past)
    assert one("policy-violation-rate", values).value == Decimal("50.0"), "later ones do not count"
    assert one("vulnerability-remediation-time", values).state == "no data"
    assert one("vulnerability-remediation-time", values).measured.left_out == 2


def test_of_two_assessments_of_a_snapshot_the_one_sealed_last_counts(tmp_path: Path) -> None:
    judged(tmp_path, "2025-12-01T00:00:00Z", {"a": "NONE"})
    store = Store.open(tmp_path / "store")
    catalogue = make_catalogue(
        tmp_path / "other",
        [sound_check(severity="low")],
        frameworks=[framework_yaml("soc", {"1": ["encryption-at-rest"]})],
    )
    snapshot = Snapshot.open(store)
    last = assess(store, snapshot, catalogue, SCHEMAS, ["soc"], sealer())
    found: tuple[PastAssessment, ...] = past_assessments(store, snapshot.as_of)
    assert [item.id for item in found] == [last.id]


# ------------------------------------------------------------------------------------------ gate

OWN = """\
id: own-rate
title: Our rate
area: Ours
unit: percent
direction: higher
target: 50
window: 30
reads: [record_deployment]
source: our deployments
about: how many succeed
formula: |
  SELECT count(*) FILTER (WHERE record.outcome = 'successful') AS numerator,
    count(record.outcome) AS denominator, count(record.outcome) AS rows,
    count(*) - count(record.outcome) AS left_out
  FROM record_deployment
examples:
  - tables: {record_deployment: [{record: {outcome: successful}}, {record: {outcome: failed}}]}
    expect: 50
  - {tables: {record_deployment: [{record: {}}]}, expect: null, left_out: 1}
"""


def own(folder: Path, **changes: Any) -> KpiSet:
    """The KPI above with changes, as it is loaded from `auditpack.d`, alone."""
    file = folder / "kpis" / "own-rate.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump({**yaml.safe_load(OWN), **changes}, sort_keys=False))
    known = load_kpis([folder])
    return KpiSet({"own-rate": known.kpis["own-rate"]}, known.files)


def formula(select: str, rest: str = "FROM record_deployment") -> dict[str, str]:
    """A formula that gives other figures, with sound counts."""
    return {"formula": f"SELECT {select}, count(*) AS rows, 0 AS left_out {rest}"}


def test_an_own_kpi_is_loaded_beside_the_built_in_ones_and_may_replace_one(tmp_path: Path) -> None:
    assert kpi_problems(own(tmp_path), RECORDS) == []
    assert len(load_kpis([tmp_path]).kpis) == 21
    replaced = {**yaml.safe_load(OWN), "id": "mttr"}
    (tmp_path / "kpis" / "mttr.yaml").write_text(yaml.safe_dump(replaced))
    assert load_kpis([tmp_path]).kpis["mttr"].title == "Our rate"
    assert load_kpis([tmp_path]).files["mttr"] == tmp_path / "kpis" / "mttr.yaml"


def test_a_file_has_the_name_of_its_kpi(tmp_path: Path) -> None:
    (tmp_path / "kpis").mkdir()
    (tmp_path / "kpis" / "other.yaml").write_text(OWN)
    with pytest.raises(DataError, match="its id is 'own-rate'"):
        load_kpis([tmp_path])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (formula("max(now()) IS NULL AS value"), "is not the same tomorrow"),
        (formula("count(current_date) AS value"), "is not the same tomorrow"),
        (formula("count(today()) AS value"), "is not the same tomorrow"),
        (formula("max(random() * 9)::BIGINT AS value"), "random() is not the same tomorrow"),
        (formula("max(age(record.deployed)) IS NULL AS value"), "is not the same tomorrow"),
        (formula("max(days_since(record.deployed)) AS value"), "days_since knows no window"),
        (formula("count(DISTINCT record.deployed::TIMESTAMPTZ) AS value"), "a time with a zone"),
        (formula("1 AS value", "FROM record_deployment USING SAMPLE 1"), "drawn by chance"),
        (formula("1 AS value", "FROM record_deployment, record_change"), "reads record_change"),
        (formula("1 AS value", "FROM record_deployment, 'x.parquet'"), "does not name"),
        (formula("1 AS value", "FROM record_deployment, read_csv('x')"), "does not name"),
        (formula("1 AS value", "FROM record_deployment, main.units"), "does not name"),
        (formula("(SELECT count(*) FROM units) AS value"), "reads units"),
        ({"formula": "SELECT 1 AS value, 0 AS rows, 0 AS left_out"}, "does not read it"),
        ({"formula": "DELETE FROM record_deployment"}, "exactly one SELECT"),
        ({"formula": "SELECT 1; SELECT 2"}, "exactly one SELECT"),
        ({"formula": "SELECT 1 UNION SELECT 2"}, "exactly one SELECT"),
        ({"formula": "SELECT ((1"}, "syntax error"),
        ({"formula": "SELECT count(*) AS value FROM record_deployment"}, "not give left_out"),
        (formula("avg(1) AS value"), "value is DOUBLE, which rounds"),
        (formula("1 AS numerator"), "either value, or numerator and denominator"),
        (formula("1 AS value, 2 AS more"), "a formula has no column 'more'"),
        (formula("1 AS value, 2 AS unit"), "unit is INTEGER, it must be VARCHAR"),
        (formula("1 AS value", "FROM record_deployment GROUP BY id"), "this one gives none"),
        (formula("count(record.done) AS value"), "done"),
        ({"reads": ["record_deploymnt"]}, "there is no table 'record_deploymnt'"),
        ({"examples": yaml.safe_load(OWN)["examples"][:1]}, "one with rows that give none"),
    ],
)
def test_the_gate_stops_what_is_not_one_steady_exact_figure(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    found = kpi_problems(own(tmp_path, **changes), RECORDS)
    assert said in found[0].what
    field = next(iter(changes))
    assert found[0].where.endswith(f": {field}")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"examples": [{"expect": 50}, {"expect": None}]}, "expected to be 50 and is None"),
        (
            {"examples": [{"tables": {"record_deployment": [{}]}, "expect": None, "left_out": 0}]},
            "0 rows are expected to be left out, and 1 are",
        ),
        ({"examples": [{"tables": {"units": [{}]}, "expect": 1}]}, "does not read 'units'"),
        (
            {"examples": [{"tables": {"record_deployment": [{"record": {"x": 1}}]}, "expect": 1}]},
            "record has no field 'x'",
        ),
        (formula("count(*) AS value"), "although nothing is known about its rows"),
        (
            formula("first(CASE WHEN record.outcome = 'failed' THEN 1 ELSE 0 END) AS value"),
            "with its rows in another order",
        ),
    ],
)
def test_examples_are_held_to_what_they_say(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    found = kpi_problems(own(tmp_path, **changes), RECORDS)
    assert any(said in problem.what for problem in found), found
    assert any("examples.0" in problem.where for problem in found)


def test_a_formula_that_the_gate_would_stop_is_not_run(tmp_path: Path) -> None:
    known = own(tmp_path / "own", **formula("count(now()) AS value"))
    snapshot = snapshot_of(tmp_path / "store", {"record_deployment": [deployment("a", None)]})
    with pytest.raises(KpiError, match="is not the same tomorrow") as stopped:
        measure_kpis(snapshot, known)
    assert "own-rate.yaml:" in stopped.value.where


# --------------------------------------------------------------------------------- command line


def test_the_command_shows_values_and_reasons_and_ends_as_it_is_asked(tmp_path: Path) -> None:
    rows = [
        deployment("a", "2025-12-05T00:00:00"),
        deployment("b", "2025-12-06T00:00:00", "failed"),
    ]
    snapshot = snapshot_of(tmp_path / "store", {"record_deployment": rows})
    said = auditpack("kpis", cwd=tmp_path)
    assert said.code == 0, said.err
    assert "Deployment frequency" in said.out
    assert "record_incident was not collected" in " ".join(said.out.split())
    told = auditpack("kpis", "--snapshot", snapshot.id, "--json", cwd=tmp_path).json
    assert (told["as_of"], told["missed"], told["no_data"]) == (snapshot.as_of, 2, 18)
    rate = next(item for item in told["kpis"] if item["id"] == "deployment-frequency")
    assert (rate["value"], rate["target"], rate["state"]) == ("0.01", "1", "missed")
    assert rate["trend"] is None
    assert auditpack("kpis", "--fail-on-missed", cwd=tmp_path).code == 3


def test_no_data_is_not_a_missed_target(tmp_path: Path) -> None:
    snapshot_of(tmp_path / "store", {"record_deployment": []})
    said = auditpack("kpis", "--fail-on-missed", cwd=tmp_path)
    assert said.code == 0
    assert "0 met, 0 missed, 20 no data" in said.out


def test_lint_finds_what_is_wrong_with_a_kpi(tmp_path: Path) -> None:
    own(tmp_path / "auditpack.d", reads=["record_deploymnt"])
    said = auditpack("lint", "--json", cwd=tmp_path)
    assert said.code == 2
    assert said.json["kpis"] == 21
    assert any("record_deploymnt" in item["what"] for item in said.json["problems"])

"""The gate: what a check or fact is stopped for, said with file, line and field."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support_controls import (
    EXAMPLES,
    HOME,
    SCHEMAS,
    check_yaml,
    column,
    fact_yaml,
    framework_yaml,
    load_folder,
    make_catalogue,
    write_yaml,
)

from controls.gate import check_catalogue, require_sound
from controls.gate_memory import GateMemory
from controls.hygiene import hygiene_problems
from controls.problems import Problem
from evidence.errors import DataError

ENCRYPTED = "encryption.algorithm <> 'NONE'"


def problems_of(folder: Path, *checks: dict[str, Any]) -> list[Problem]:
    return check_catalogue(make_catalogue(folder, checks), SCHEMAS)


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, problems
    return problems[0]


def line_with(file: Path, start: str) -> int:
    """The number of the first line that starts with `start`, as an editor shows it."""
    lines = file.read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.strip().startswith(start))


# ------------------------------------------------------------------------------------- checks


def test_a_sound_check_has_no_problems(tmp_path: Path) -> None:
    assert problems_of(tmp_path, check_yaml("encrypted", ENCRYPTED, examples=EXAMPLES)) == []


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"pass": "encryption.algoritm = 'x'"}, "pass", "did you mean 'encryption.algorithm'?"),
        ({"pass": "coalesce(encryption.rotated, true)"}, "pass", "not allowed here: coalesce"),
        ({"pass": "encryption.algorithm"}, "pass", "the expression is VARCHAR, it must be BOOLEAN"),
        ({"applies": "encryption.bits"}, "applies", "is BIGINT, it must be BOOLEAN"),
        ({"applies": "encryption.bit = 1"}, "applies", "did you mean 'encryption.bits'?"),
        ({"reason": "encryption.bits"}, "reason", "is BIGINT, it must be VARCHAR"),
        ({"reason": "encryption.none"}, "reason", "aws_vault has no 'encryption.none'"),
        ({"pass": "encryption.algorithm > 3"}, "pass", "Cannot compare values of type VARCHAR"),
        ({"pass": "encryption.bits = '1'"}, "pass", "is number, compared with '1'"),
        ({"pass": "'1' <> encryption.bits"}, "pass", "is number, compared with '1'"),
        ({"pass": "encryption.bits in (1, '2')"}, "pass", "is number, compared with '2'"),
        ({"pass": "encryption.bits between 1 and '9'"}, "pass", "is number, compared with '9'"),
        ({"pass": "encryption.rotated = 'true'"}, "pass", "is boolean, compared with 'true'"),
        ({"applies": "encryption.ratio < 'x'"}, "applies", "encryption.ratio is number, compared"),
    ],
)
def test_an_expression_that_does_not_fit_is_reported_with_the_line_of_its_field(
    tmp_path: Path, changes: dict[str, str], field: str, said: str
) -> None:
    check = check_yaml("encrypted", ENCRYPTED, **{"examples": EXAMPLES, "applies": "true"})
    found = problems_of(tmp_path, {**check, **changes})
    assert said in found[0].what
    file = tmp_path / "checks" / "encrypted.yaml"
    assert found[0].where == f"{file}:{line_with(file, field + ':')}: {field}"


def test_an_unknown_resource_type_is_reported_with_the_nearest_name(tmp_path: Path) -> None:
    found = only(problems_of(tmp_path, check_yaml("encrypted", ENCRYPTED, resource="aws_valt")))
    file = tmp_path / "checks" / "encrypted.yaml"
    assert found.what == "there is no resource type 'aws_valt'"
    assert found.where == f"{file}:{line_with(file, 'resource:')}: resource"
    assert found.mend == "Did you mean 'aws_vault'?"


@pytest.mark.parametrize("status", ["pass", "fail", "not_evidenced"])
def test_every_status_needs_an_example(tmp_path: Path, status: str) -> None:
    examples = [example for example in EXAMPLES if example["expect"] != status]
    found = only(problems_of(tmp_path, check_yaml("encrypted", ENCRYPTED, examples=examples)))
    assert found.what == f"no example expects {status}"
    assert found.where.endswith(": examples")


def test_a_check_that_applies_to_some_needs_one_to_which_it_does_not(tmp_path: Path) -> None:
    check = check_yaml("encrypted", ENCRYPTED, applies="encryption.bits > 0")
    examples = [
        {"expect": "pass", "encryption": {"algorithm": "AES256", "bits": 1}},
        {"expect": "fail", "encryption": {"bits": 1}},
        {"expect": "not_evidenced"},
    ]
    found = only(problems_of(tmp_path / "without", {**check, "examples": examples}))
    assert "no example expects not_applicable" in found.what
    examples.append({"expect": "not_applicable", "encryption": {"bits": 0}})
    assert problems_of(tmp_path / "with", {**check, "examples": examples}) == []


HAND_WRITTEN = textwrap.dedent("""\
    id: encrypted
    title: Vaults are encrypted
    control: encryption-at-rest
    resource: aws_vault
    severity: high
    pass: encryption.algorithm <> 'NONE'
    reason: "'algorithm is ' || encryption.algorithm"
    remediation: Encrypt it.
    examples:
      - {expect: pass, encryption: {algorithm: AES256}}
      - {expect: fail, encryption: {}}
      - {expect: not_evidenced}
      - {expect: fail, encryption: {algorithm: AES256}}
    """)


def test_an_example_that_gets_another_status_is_reported_with_both_and_its_line(
    tmp_path: Path,
) -> None:
    file = write_yaml(tmp_path, "checks", check_yaml("encrypted", ENCRYPTED))
    file.write_text(HAND_WRITTEN)
    found = only(check_catalogue(load_folder(tmp_path), SCHEMAS))
    assert found.what == "the example expects fail and gets pass"
    assert found.where == f"{file}:13: examples.3"


@pytest.mark.parametrize(
    ("example", "said"),
    [
        ({"expect": "pass", "encription": {}}, "aws_vault has no facet or column 'encription'"),
        ({"expect": "pass", "encryption": {"algo": "x"}}, "encryption has no field 'algo'; it has"),
        ({"expect": "pass", "encryption": "AES256"}, "'encryption' is a mapping of its fields"),
        ({"expect": "pass", "network": {"rules": [{"port": 1}]}}, "rules has no field 'port'"),
        ({"expect": "pass", "encryption": {"bits": "many"}}, "Could not convert"),
        ({"expect": "not_evidenced", "fact": {"trail": True}}, "the check uses no fact 'trail'"),
    ],
)
def test_an_example_that_the_table_cannot_hold_is_reported(
    tmp_path: Path, example: dict[str, Any], said: str
) -> None:
    check = check_yaml("encrypted", ENCRYPTED, examples=[*EXAMPLES, example])
    found = only(problems_of(tmp_path, check))
    assert said in found.what
    assert ": examples" in found.where


def test_a_verdict_that_turns_when_evidence_is_taken_away_is_a_knock_out(tmp_path: Path) -> None:
    """DuckDB splits at an unknown separator as if there were none."""
    check = check_yaml(
        "split",
        "encryption.rotated or string_split('a', network.labels['at'])[1] <> 'a'",
        reason="'x'",
        examples=[
            {
                "expect": "pass",
                "encryption": {"rotated": False},
                "network": {"labels": {"at": "a"}},
            },
            {
                "expect": "fail",
                "encryption": {"rotated": False},
                "network": {"labels": {"at": "b"}},
            },
            {"expect": "not_evidenced"},
        ],
    )
    found = [item for item in problems_of(tmp_path, check) if "without network" in item.what]
    assert found[0].where.endswith(": examples.0")
    assert found[0].what.startswith("without network the status turns from pass into fail")
    assert "missing evidence may only lead to not_evidenced" in found[0].what


def test_a_check_that_needs_no_evidence_at_all_is_vacuous(tmp_path: Path) -> None:
    check = check_yaml("named", "name <> ''", examples=[])
    found = [item for item in problems_of(tmp_path, check) if "without any" in item.what]
    assert only(found).what.startswith("without any evidence the status is pass")
    assert only(found).where.endswith(": pass")


def test_require_sound_raises_the_first_problem_and_counts_the_rest(tmp_path: Path) -> None:
    checks = [check_yaml(name, "encryption.algoritm = 'x'") for name in ("one", "two", "three")]
    catalogue = make_catalogue(tmp_path, checks)
    with pytest.raises(DataError) as caught:
        require_sound(catalogue, SCHEMAS)
    assert "(and 2 more: run `auditpack lint`)" in caught.value.what
    assert caught.value.where.startswith(str(tmp_path / "checks" / "one.yaml"))
    assert caught.value.exit_code == 2


def test_what_passed_is_remembered_and_what_changed_since_passes_again(tmp_path: Path) -> None:
    memory, folder = GateMemory(tmp_path / "passed"), tmp_path / "catalogue"
    sound = check_yaml("encrypted", ENCRYPTED, examples=EXAMPLES)
    require_sound(make_catalogue(folder, [sound]), SCHEMAS, memory=memory)
    known = memory.passed()
    assert len(known) == 1
    changed = make_catalogue(folder, [{**sound, "pass": "encryption.algorithm = 'NONE'"}])
    for schemas, catalogue in ((SCHEMAS, changed), ({"aws_home": HOME}, load_folder(folder))):
        with pytest.raises(DataError):
            require_sound(catalogue, schemas, memory=memory)
    assert memory.passed() == known, "what failed is not remembered"


def test_only_what_did_not_pass_before_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = GateMemory(tmp_path / "passed")
    one, two = (check_yaml(name, ENCRYPTED, examples=EXAMPLES) for name in ("one", "two"))
    require_sound(make_catalogue(tmp_path / "a", [one]), SCHEMAS, memory=memory)
    looked: list[str] = []

    def noted(_: Any, check: Any, *more: Any) -> list[Any]:
        looked.append(check.id)
        return []

    monkeypatch.setattr("controls.gate.check_problems", noted)
    both = make_catalogue(tmp_path / "b", [one, two])
    require_sound(both, SCHEMAS, memory=memory)
    assert looked == ["two"]
    require_sound(both, SCHEMAS, memory=memory)
    assert looked == ["two"]
    name = both.checks["one"].resource
    known = SCHEMAS[name]
    wider = replace(known, facets=(*known.facets, replace(known.facets[0], name="another")))
    require_sound(both, {**SCHEMAS, name: wider}, memory=memory)
    assert looked == ["two", "one", "two"], "a check is judged by the shape of its table"


# -------------------------------------------------------------------------------------- facts

COUNTED = (
    "SELECT account, any_of(encryption.rotated) AS rotated, count_of(encryption.bits > 1) AS strong"
    " FROM aws_vault GROUP BY account"
)
COLUMNS = {"rotated": column("any", none=False), "strong": column(of="integer", none=0)}
FACT_EXAMPLES = [
    {
        "tables": {"aws_vault": [{"encryption": {"rotated": True, "bits": 8}}]},
        "expect": {"rotated": True, "strong": 1},
    },
    {"expect": {"rotated": False, "strong": 0}},
    {"unread": ["aws_vault"], "expect": {"rotated": None, "strong": None}},
]


def fact_problems(folder: Path, **changes: Any) -> list[Problem]:
    fact = fact_yaml("vaults", COUNTED, COLUMNS, examples=FACT_EXAMPLES)
    return check_catalogue(make_catalogue(folder, facts=[{**fact, **changes}]), SCHEMAS)


def test_a_sound_fact_has_no_problems(tmp_path: Path) -> None:
    assert fact_problems(tmp_path) == []


def test_a_fact_about_an_unknown_type_is_reported_with_the_nearest_name(tmp_path: Path) -> None:
    found = only(fact_problems(tmp_path, reads=["aws_vaults"]))
    file = tmp_path / "facts" / "vaults.yaml"
    assert found.where == f"{file}:{line_with(file, 'reads:')}: reads"
    assert found.mend == "Did you mean 'aws_vault'?"


def test_a_fact_needs_examples(tmp_path: Path) -> None:
    assert only(fact_problems(tmp_path, examples=[])).what == "a fact needs examples"


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"strong": 2}, "strong is expected to be 2 and is 1"),
        ({"weak": 1}, "the fact has no column 'weak'"),
    ],
)
def test_a_fact_whose_example_is_wrong_is_reported(
    tmp_path: Path, expected: dict[str, Any], said: str
) -> None:
    example = {**FACT_EXAMPLES[0], "expect": expected}
    found = only(fact_problems(tmp_path, examples=[example]))
    assert found.what == said
    assert found.where.endswith(": examples.0")


def test_a_fact_that_claims_something_though_nothing_could_be_read_is_reported(
    tmp_path: Path,
) -> None:
    """ "There is none" is true of tables that were not read: it is not of kind `any`."""
    found = fact_problems(
        tmp_path,
        columns={"empty": column("any", none=True)},
        sql="SELECT h.account, count(v.id) = 0 AS empty FROM aws_home AS h"
        " LEFT JOIN aws_vault AS v ON v.account = h.account GROUP BY h.account",
        examples=[{"expect": {"empty": True}}],
    )
    assert "although nothing could be read" in only(found).what


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT account, rotated FROM aws_vault",
        "SELECT account FROM read_csv('secret.csv')",
        "SELECT account FROM aws_vaults",
        f"{COUNTED} UNION ALL SELECT account, true, 1 FROM aws_undeclared",
        "SELECT account,",
    ],
)
def test_sql_of_a_fact_that_does_not_bind_or_reads_files_is_reported(
    tmp_path: Path, sql: str
) -> None:
    assert fact_problems(tmp_path, sql=sql)[0].where.endswith(": examples.0")


def test_a_fact_is_one_query_that_changes_nothing(tmp_path: Path) -> None:
    """Else it could take away the gaps that other facts must see."""
    sql = f"{COUNTED}) AS x; DELETE FROM units; SELECT * FROM (SELECT 1"
    assert fact_problems(tmp_path, sql=sql, examples=FACT_EXAMPLES[2:]) != []


@pytest.mark.parametrize("clock", ["now()", "current_date", "random()", "uuid()"])
def test_a_fact_that_reads_the_clock_or_chance_is_refused(tmp_path: Path, clock: str) -> None:
    """The same snapshot must give the same findings on every day."""
    sql = COUNTED.replace("encryption.bits > 1", f"encryption.bits > 1 AND {clock} IS NOT NULL")
    assert fact_problems(tmp_path, sql=sql) != []


def test_a_fact_that_yields_two_rows_for_one_subject_is_refused(tmp_path: Path) -> None:
    """Else the join would judge that subject twice."""
    vaults = [{"encryption": {"rotated": True, "bits": bits}} for bits in (1, 8)]
    found = fact_problems(
        tmp_path,
        sql="SELECT account, true AS rotated, encryption.bits AS strong FROM aws_vault",
        examples=[{"tables": {"aws_vault": vaults}, "expect": {"rotated": True}}],
    )
    assert found != []


def test_checks_are_not_judged_by_while_a_fact_is_unsound(tmp_path: Path) -> None:
    catalogue = make_catalogue(
        tmp_path,
        [check_yaml("strong", "fact.strong > 0", resource="aws_home", reason="'x'")],
        [fact_yaml("vaults", "SELECT nothing", COLUMNS)],
    )
    assert [": examples.0" in item.where for item in check_catalogue(catalogue, SCHEMAS)] == [True]


def test_a_check_may_rest_on_a_fact_alone(tmp_path: Path) -> None:
    examples = [
        {"expect": "pass", "fact": {"strong": 1}},
        {"expect": "fail", "fact": {"strong": 0}},
        {"expect": "not_evidenced", "identity": {"size": 1}},
    ]
    check = check_yaml(
        "strong",
        "fact.strong > 0",
        resource="aws_home",
        reason="fact.strong || ' strong'",
        examples=examples,
    )
    facts = [fact_yaml("vaults", COUNTED, COLUMNS, examples=FACT_EXAMPLES)]
    assert check_catalogue(make_catalogue(tmp_path, [check], facts), SCHEMAS) == []


# ------------------------------------------------------------------------------------ hygiene


def test_hygiene_reports_idle_controls_twins_and_unknown_benchmark_ids(tmp_path: Path) -> None:
    checks = [
        check_yaml("encrypted", ENCRYPTED, equivalents={"cis": ["1.1", "9.9"]}),
        check_yaml("also_encrypted", "encryption.algorithm  <>  'NONE'", control="idle"),
    ]
    framework = framework_yaml("cis-1", {"1.1": ["encryption-at-rest"]}, benchmark="cis")
    catalogue = make_catalogue(tmp_path, checks, frameworks=[framework])
    found = {problem.what: problem.where for problem in hygiene_problems(catalogue)}
    assert set(found) == {
        "no requirement names the control 'idle'",
        "the check says the same as also_encrypted",
        "cis-1 has no requirement '9.9'",
    }
    assert found["cis-1 has no requirement '9.9'"].endswith(": equivalents.cis")


def test_the_same_rule_with_another_parameter_is_another_check(tmp_path: Path) -> None:
    def check(name: str, days: int) -> dict[str, Any]:
        parameters = {"days": {"default": days, "about": "how old"}}
        return check_yaml(name, "days_since(encryption.made) < param.days", parameters=parameters)

    framework = framework_yaml("soc", {"1": ["encryption-at-rest"]})
    catalogue = make_catalogue(
        tmp_path, [check("thirty", 30), check("ninety", 90)], frameworks=[framework]
    )
    assert hygiene_problems(catalogue) == []

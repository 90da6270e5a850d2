"""Findings for other programs: the same in every format, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from support_controls import ACCOUNT, HERE, Unit, assessed, sound_check, vault

from controls.assessment import Assessment
from reports.findings_export import COLUMNS, write_findings

NAMES = [
    "plain",
    "comma, and; semicolon",
    'a "quoted" name',
    "two\nlines",
    "naïve 名前 🗝",
    "trailing space ",
    "carriage\rreturn",
]
FORMULAS = ["=cmd|'/C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"]
EQUIVALENTS = {"prowler": "vault_encrypted", "cis": ["1.1", "1.2"]}


@pytest.fixture(scope="module")
def assessment(tmp_path_factory: pytest.TempPathFactory) -> Assessment:
    rows = tuple(
        vault(name, {"Owner": name}, encryption={"algorithm": "AES256" if i % 2 else "NONE"})
        for i, name in enumerate([*NAMES, *FORMULAS])
    )
    checks = [sound_check(equivalents=EQUIVALENTS)]
    folder = tmp_path_factory.mktemp("assessed")
    return assessed(folder, [Unit((*rows, vault("unseen")))], checks, owner_tags=["Owner"])


def written(assessment: Assessment, kind: str, *statuses: str) -> tuple[str, int]:
    target = io.StringIO(newline="")
    count = write_findings(assessment, kind, target, statuses)
    return target.getvalue(), count


def as_json(assessment: Assessment, *statuses: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(written(assessment, "json", *statuses)[0])
    return found


def as_csv(assessment: Assessment, *statuses: str) -> list[dict[str, str]]:
    text, _ = written(assessment, "csv", *statuses)
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_every_format_has_the_columns_that_are_promised(assessment: Assessment) -> None:
    promised = {
        "check_id",
        "status",
        "severity",
        "reason",
        "provider",
        "account",
        "region",
        "resource_type",
        "resource_id",
        "snapshot",
        "captures",
        "control",
        "equivalents",
    }
    assert promised <= set(COLUMNS)
    assert written(assessment, "csv")[0].splitlines()[0] == ",".join(COLUMNS)
    assert all(tuple(record) == COLUMNS for record in as_json(assessment))


def test_a_finding_has_everything_that_leads_back_to_its_evidence(assessment: Assessment) -> None:
    record = next(item for item in as_json(assessment) if item["resource_name"] == "plain")
    assert record == {
        "finding_id": "encrypted:arn:vault/plain",
        "check_id": "encrypted",
        "title": "Title of encrypted",
        "status": "fail",
        "severity": "high",
        "reason": "algorithm is NONE",
        "provider": "aws",
        "account": ACCOUNT,
        "region": HERE,
        "resource_type": "aws_vault",
        "resource_id": "arn:vault/plain",
        "resource_name": "plain",
        "owner": "plain",
        "control": "encryption-at-rest",
        "equivalents": {"prowler": ["vault_encrypted"], "cis": ["1.1", "1.2"]},
        "snapshot": assessment.snapshot_id,
        "assessment": assessment.id,
        "captures": [f"aws/{ACCOUNT}/{HERE}/aws_vault#2"],
    }


def test_json_lines_are_the_records_of_the_json(assessment: Assessment) -> None:
    text, count = written(assessment, "jsonl")
    lines = text.split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == as_json(assessment)
    assert len(lines) == count == len(NAMES) + len(FORMULAS) + 1


def test_csv_says_the_same_as_json_with_lists_joined(assessment: Assessment) -> None:
    for cells, record in zip(as_csv(assessment), as_json(assessment), strict=True):
        assert cells["captures"] == ";".join(record["captures"])
        assert cells["equivalents"] == "cis=1.1;cis=1.2;prowler=vault_encrypted"
        for name in set(COLUMNS) - {"captures", "equivalents"}:
            assert cells[name].removeprefix("'") == record[name], name


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_name_that_a_stranger_chose_is_a_formula_in_a_spreadsheet(
    assessment: Assessment, formula: str
) -> None:
    cells = next(row for row in as_csv(assessment) if row["resource_id"].endswith(formula))
    assert cells["resource_name"] == cells["owner"] == f"'{formula}"
    for row in as_csv(assessment):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())
    assert any(item["resource_name"] == formula for item in as_json(assessment)), "as it is"


@pytest.mark.parametrize("name", NAMES)
def test_names_with_commas_quotes_and_newlines_come_back_whole(
    assessment: Assessment, name: str
) -> None:
    assert [row["owner"] for row in as_csv(assessment) if row["resource_name"] == name] == [name]


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_only_the_statuses_asked_for_are_written(assessment: Assessment, kind: str) -> None:
    found = [item["status"] for item in as_json(assessment)]
    assert written(assessment, kind, "pass")[1] == found.count("pass") > 0
    open_ones = found.count("fail") + found.count("not_evidenced")
    assert written(assessment, kind, "fail", "not_evidenced")[1] == open_ones > 0
    assert {item["status"] for item in as_json(assessment, "fail")} == {"fail"}


def test_no_findings_are_still_a_whole_file(assessment: Assessment) -> None:
    assert as_json(assessment, "excepted") == []
    assert written(assessment, "jsonl", "excepted") == ("", 0)
    text, count = written(assessment, "csv", "excepted")
    assert (text.splitlines(), count) == ([",".join(COLUMNS)], 0)


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_the_same_assessment_gives_the_same_bytes(
    assessment: Assessment, tmp_path: Path, kind: str
) -> None:
    files = [tmp_path / f"{number}.{kind}" for number in range(2)]
    for file in files:
        with file.open("w", encoding="utf-8", newline="") as target:
            write_findings(assessment, kind, target)
    assert files[0].read_bytes() == files[1].read_bytes() == written(assessment, kind)[0].encode()

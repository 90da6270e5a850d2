"""Evaluating: the status, reason and evidence of every finding over a real, sealed snapshot."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support_controls import (
    ACCOUNT,
    HERE,
    HOME,
    OTHER_ACCOUNT,
    SCHEMAS,
    THERE,
    VAULT,
    Unit,
    check_yaml,
    column,
    fact_yaml,
    framework_yaml,
    home,
    make_catalogue,
    sealed_snapshot,
    vault,
)

from controls.catalogue import Catalogue
from controls.evaluate import EvaluationError, Findings, evaluate
from controls.scoring import Counts, FrameworkResult, RequirementStatus, score_framework
from evidence.outcome import Outcome
from evidence.schema import Facet, Field, TableSchema
from evidence.segments import read_line
from evidence.snapshot import Snapshot

ENCRYPTED = check_yaml("encrypted", "encryption.algorithm <> 'NONE'")
STRONG = check_yaml(
    "strong",
    "encryption.bits >= 128",
    applies="encryption.algorithm <> 'NONE'",
    reason="encryption.bits || ' bits'",
    severity="low",
)
CLOSED = check_yaml(
    "closed",
    "not any3(network.rules,"
    " lambda r: is_world(r.cidr) and covers_port(r.from_port, r.to_port, 22))",
    applies="network.public",
    reason="len(network.rules) || ' rules'",
)
PRIVATE = check_yaml(
    "private",
    "not network.public and not any3(policy.statements, lambda s: is_public_statement(s))",
    reason="'public'",
)
OWNED = check_yaml("owned", "tags['Owner'] is not null", reason="'no owner'")
CHECKS = [ENCRYPTED, STRONG, CLOSED, PRIVATE, OWNED]
VAULTS_FACT = fact_yaml(
    "vaults",
    "SELECT account, all_of(encryption.algorithm <> 'NONE') AS encrypted,"
    " count_of(network.public) AS open FROM aws_vault GROUP BY account",
    {"encrypted": column("all", none=True), "open": column(of="integer", none=0)},
)
ALL_ENCRYPTED = check_yaml(
    "all_encrypted", "fact.encrypted", resource="aws_home", reason="fact.open || ' open'"
)

Rows = list[dict[str, Any]]


def judge(
    folder: Path,
    units: Sequence[Unit],
    checks: Sequence[dict[str, Any]] = CHECKS,
    facts: Sequence[dict[str, Any]] = (),
    **options: Any,
) -> Rows:
    """Seal a snapshot of `units`, evaluate it, and return the findings as they are in the file."""
    snapshot = sealed_snapshot(folder / "store", units)
    catalogue = make_catalogue(folder / "catalogue", checks, facts)
    return rows_of(evaluate(snapshot, catalogue, SCHEMAS, folder / "out", **options))


def rows_of(found: Findings) -> Rows:
    with duckdb.connect() as database:
        read = database.execute(f"SELECT * FROM read_parquet('{found.path}')")
        names = [item[0] for item in read.description]
        return [dict(zip(names, row, strict=True)) for row in read.fetchall()]


def one(rows: Rows, check: str, resource: str = "") -> dict[str, Any]:
    found = [row for row in rows if row["check_id"] == check and resource in row["resource_id"]]
    assert len(found) == 1, found
    return found[0]


def statuses(rows: Rows) -> dict[str, str]:
    return {row["check_id"]: row["status"] for row in rows}


# -------------------------------------------------------------------------- statuses and reasons


def test_each_status_follows_from_what_was_observed(tmp_path: Path) -> None:
    rows = judge(
        tmp_path,
        [
            Unit(
                (
                    vault("good", {}, encryption={"algorithm": "AES256", "bits": 256}),
                    vault("weak", {}, encryption={"algorithm": "AES256", "bits": 56}),
                    vault("none", {}, encryption={"algorithm": "NONE", "bits": 1}),
                    vault("unknown", {}, encryption={"algorithm": "AES256"}),
                    vault("unseen", {}),
                )
            )
        ],
        [STRONG],
    )
    found = {row["resource_name"]: (row["status"], row["reason"]) for row in rows}
    assert found == {
        "good": ("pass", "256 bits"),
        "weak": ("fail", "56 bits"),
        "none": ("not_applicable", ""),
        "unknown": ("not_evidenced", "the answer holds no value to judge"),
        "unseen": (
            "not_evidenced",
            "encryption was not observed (denied: get_encryption AccessDenied)",
        ),
    }


def test_a_finding_says_what_it_is_about(tmp_path: Path) -> None:
    row = one(judge(tmp_path, [Unit((vault("a", {}, encryption={}),), region=THERE)]), "encrypted")
    assert {name: value for name, value in row.items() if name != "captures"} == {
        "check_id": "encrypted",
        "status": "fail",
        "severity": "high",
        "reason": "algorithm is NONE",
        "provider": "aws",
        "account": ACCOUNT,
        "region": THERE,
        "resource_type": "aws_vault",
        "resource_id": "arn:vault/a",
        "resource_name": "a",
        "control": "encryption-at-rest",
        "owner": "",
    }


def test_every_facet_that_is_missing_is_named(tmp_path: Path) -> None:
    row = one(judge(tmp_path, [Unit((vault("a", {}, encryption={}),))]), "private")
    assert row["reason"] == (
        "network was not observed (denied: get_network AccessDenied);"
        " policy was not observed (denied: get_policy AccessDenied)"
    )


def test_what_is_known_decides_where_the_rest_cannot_change_it(tmp_path: Path) -> None:
    row = one(judge(tmp_path, [Unit((vault("a", {}, network={"public": True}),))]), "private")
    assert (row["status"], row["reason"]) == ("fail", "public")


def test_a_reason_that_is_null_is_empty_and_does_not_change_the_status(tmp_path: Path) -> None:
    check = check_yaml("public", "not network.public", reason="encryption.algorithm")
    row = one(
        judge(tmp_path, [Unit((vault("a", {}, network={"public": True}),))], [check]), "public"
    )
    assert (row["status"], row["reason"]) == ("fail", "")


def test_tags_that_were_not_read_are_not_missing_tags(tmp_path: Path) -> None:
    rows = judge(
        tmp_path,
        [Unit((vault("no"), vault("none", {}), vault("yes", {"Owner": "data"})))],
        [OWNED],
    )
    assert {row["resource_name"]: row["status"] for row in rows} == {
        "no": "not_evidenced",
        "none": "fail",
        "yes": "pass",
    }


def test_the_owner_is_the_first_of_the_tags_that_say_so(tmp_path: Path) -> None:
    tags = {"a": {"team": "t", "Owner": "o"}, "b": {"team": "t"}, "c": {}, "d": None}
    unit = Unit(tuple(vault(name, given, encryption={}) for name, given in tags.items()))
    rows = judge(tmp_path, [unit], [ENCRYPTED], owner_tags=["Owner", "team"])
    assert {row["resource_name"]: row["owner"] for row in rows} == {
        "a": "o",
        "b": "t",
        "c": "",
        "d": "",
    }


def test_ages_count_from_the_snapshot_not_from_today(tmp_path: Path) -> None:
    check = check_yaml("fresh", "days_since(encryption.made) < 30")
    made = {"old": "2025-12-01T00:00:00", "new": "2025-12-03T00:00:00"}
    unit = Unit(tuple(vault(name, {}, encryption={"made": at}) for name, at in made.items()))
    found = {row["resource_name"]: row["status"] for row in judge(tmp_path, [unit], [check])}
    assert found == {"old": "fail", "new": "pass"}


def test_names_that_a_stranger_chose_are_only_text(tmp_path: Path) -> None:
    name = "'); DROP TABLE findings; -- \"$$ \\ \n é"
    row = one(judge(tmp_path, [Unit((vault(name, {name: name}, encryption={}),))]), "encrypted")
    assert row["resource_name"] == name


def test_a_value_that_cannot_be_cast_is_not_known_and_stops_nothing(tmp_path: Path) -> None:
    """One odd tag in a cloud must not keep a whole company from being assessed."""
    check = check_yaml("kept", "cast(tags['Days'] as integer) > 30", reason="tags['Days']")
    units = [Unit((vault("odd", {"Days": "a month"}), vault("good", {"Days": "31"})))]
    found = {row["resource_name"]: row["status"] for row in judge(tmp_path, units, [check])}
    assert found == {"odd": "not_evidenced", "good": "pass"}


# ------------------------------------------------------------------------------ evidence cited


def cited_operations(snapshot: Snapshot, row: dict[str, Any]) -> list[str]:
    """Follow each reference to its capture; return the operations that are there."""
    import orjson

    found = []
    for reference in row["captures"]:
        unit, _, number = reference.partition("#")
        capture = orjson.loads(read_line(snapshot.segment(unit), int(number)))
        found.append(f"{capture['operation']} {orjson.loads(capture['parameters'])['Id']}".strip())
    return sorted(found)


@pytest.mark.parametrize(
    ("check", "operations"),
    [
        (ENCRYPTED, ["get_encryption"]),
        (CLOSED, ["get_network"]),
        (PRIVATE, ["get_network", "get_policy"]),
        (OWNED, ["get_tags"]),
        (STRONG, ["get_encryption"]),
        (
            check_yaml("mixed", "encryption.bits > 1", applies="network.public"),
            ["get_encryption", "get_network"],
        ),
        (
            check_yaml("told", "not network.public", reason="encryption.algorithm"),
            ["get_network"],  # a reason is told, the verdict does not rest on it
        ),
    ],
)
@pytest.mark.parametrize("facets", [{}, {"encryption": {}, "network": {}, "policy": {}}])
def test_a_finding_cites_the_captures_of_the_facets_it_read_and_no_others(
    tmp_path: Path, check: dict[str, Any], operations: list[str], facets: dict[str, Any]
) -> None:
    """Of a facet that was refused, the refusal is cited."""
    units = [Unit((vault("other", {}, **facets), vault("a", {}, **facets)))]
    snapshot = sealed_snapshot(tmp_path / "store", units)
    catalogue = make_catalogue(tmp_path / "catalogue", [check])
    rows = rows_of(evaluate(snapshot, catalogue, SCHEMAS, tmp_path / "out"))
    row = one(rows, check["id"], "vault/a")
    assert cited_operations(snapshot, row) == [f"{name} arn:vault/a" for name in operations]
    assert row["captures"] == sorted(set(row["captures"]))


def test_a_finding_that_rests_on_a_fact_cites_its_listings_and_the_facets_that_it_reads(
    tmp_path: Path,
) -> None:
    units = [home(identity={}), Unit((vault("a", {}, encryption={}),)), Unit((), region=THERE)]
    store = tmp_path / "store"
    snapshot = sealed_snapshot(store, units)
    catalogue = make_catalogue(tmp_path / "catalogue", [ALL_ENCRYPTED], [VAULTS_FACT])
    row = one(rows_of(evaluate(snapshot, catalogue, SCHEMAS, tmp_path / "out")), "all_encrypted")
    assert (row["status"], row["reason"]) == ("fail", "")
    listings = {f"aws/{ACCOUNT}/{place}/aws_vault#1" for place in (HERE, THERE)}
    assert listings < set(row["captures"])
    read = set(row["captures"]) - listings
    operations = cited_operations(snapshot, {"captures": sorted(read)})
    assert [name.split()[0] for name in operations] == ["get_encryption", "get_network"]


def test_a_fact_that_is_not_known_says_which_listing_is_missing(tmp_path: Path) -> None:
    units = [
        home(identity={}),
        Unit((vault("a", {}, encryption={"algorithm": "AES256"}),)),
        Unit((), region=THERE, listed=Outcome.THROTTLED, detail="Rate exceeded"),
    ]
    row = one(judge(tmp_path, units, [ALL_ENCRYPTED], [VAULTS_FACT]), "all_encrypted")
    assert row["status"] == "not_evidenced"
    assert row["reason"] == (
        f"not everything could be read: aws_vault in {THERE}: throttled Rate exceeded"
    )


# ----------------------------------------------------------------- what could not be listed


def test_an_unlisted_type_gets_one_finding_a_check_account_and_region(tmp_path: Path) -> None:
    def refused(account: str, region: str) -> Unit:
        return Unit((), "aws_vault", account, region, Outcome.DENIED, "AccessDenied")

    units = [refused(ACCOUNT, HERE), refused(ACCOUNT, THERE), refused(OTHER_ACCOUNT, HERE)]
    rows = judge(tmp_path, units, [ENCRYPTED, OWNED])
    assert [(row["check_id"], row["account"], row["region"]) for row in rows] == [
        (check, account, region)
        for check in ("encrypted", "owned")
        for account, region in ((ACCOUNT, THERE), (ACCOUNT, HERE), (OTHER_ACCOUNT, HERE))
    ]
    assert {row["status"] for row in rows} == {"not_evidenced"}
    first = rows[0]
    assert first["reason"] == "the listing was not observed (denied AccessDenied)"
    assert first["captures"] == [f"aws/{ACCOUNT}/{THERE}/aws_vault#1"], "the refusal itself"
    assert first["resource_id"] == f"not-listed:aws_vault:{ACCOUNT}:{THERE}"


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.ABSENT])
def test_an_observed_empty_listing_gives_no_findings(tmp_path: Path, outcome: Outcome) -> None:
    assert judge(tmp_path, [Unit((), listed=outcome)]) == []


@pytest.mark.parametrize(
    "outcome", [Outcome.DENIED, Outcome.NOT_ENABLED, Outcome.THROTTLED, Outcome.ERROR]
)
def test_rows_of_a_listing_that_broke_off_are_judged_and_the_rest_is_not_evidenced(
    tmp_path: Path, outcome: Outcome
) -> None:
    unit = Unit((vault("a", {}, encryption={}),), listed=outcome)
    found = {row["resource_name"]: row["status"] for row in judge(tmp_path, [unit], [ENCRYPTED])}
    assert found == {"a": "fail", "aws_vault could not be listed": "not_evidenced"}


def test_a_type_that_was_never_collected_is_not_evidenced_in_every_account(
    tmp_path: Path,
) -> None:
    snapshot = sealed_snapshot(
        tmp_path / "store", [home(identity={}), home(OTHER_ACCOUNT, identity={})], [HOME]
    )
    catalogue = make_catalogue(tmp_path / "catalogue", [ENCRYPTED, ALL_ENCRYPTED], [VAULTS_FACT])
    found = evaluate(snapshot, catalogue, SCHEMAS, tmp_path / "out")
    rows = rows_of(found)
    assert [(row["check_id"], row["account"], row["status"]) for row in rows] == [
        (check, account, "not_evidenced")
        for check in ("all_encrypted", "encrypted")
        for account in (ACCOUNT, OTHER_ACCOUNT)
    ]
    assert rows[2]["reason"] == "this resource type was not collected"
    assert found.by_check["encrypted"] == Counts(not_evidenced=2)


def test_a_type_collected_in_one_account_only_is_not_evidenced_in_the_other(
    tmp_path: Path,
) -> None:
    units = [
        home(identity={}),
        home(OTHER_ACCOUNT, identity={}),
        Unit((vault("a", {}, encryption={"algorithm": "AES256"}),)),
    ]
    rows = judge(tmp_path, units, [ENCRYPTED])
    assert [(row["account"], row["status"]) for row in rows] == [
        (ACCOUNT, "pass"),
        (OTHER_ACCOUNT, "not_evidenced"),
    ]


# --------------------------------------------------------------- snapshots of an older version

OLDER_VAULT = TableSchema(
    "aws_vault",
    "aws",
    "region",
    (
        Facet("network", tuple(f for f in VAULT.facets[1].fields if f.name != "limit")),
        Facet("policy", VAULT.facets[2].fields),
    ),
)


def judge_older(folder: Path, checks: Rows, facts: Rows, older: TableSchema, row: Any) -> Rows:
    snapshot = sealed_snapshot(
        folder / "store", [home(identity={"size": 1}), Unit((row,))], [older, HOME]
    )
    catalogue = make_catalogue(folder / "catalogue", checks, facts)
    return rows_of(evaluate(snapshot, catalogue, SCHEMAS, folder / "out"))


def test_what_an_older_snapshot_does_not_hold_is_not_evidenced(tmp_path: Path) -> None:
    limited = check_yaml("limited", "network.limit > 1", reason="'x'")
    row = vault("a", {}, network={"public": True}, policy={})
    rows = judge_older(tmp_path, [ENCRYPTED, PRIVATE, limited], [], OLDER_VAULT, row)
    assert statuses(rows) == {
        "encrypted": "not_evidenced",  # the facet is not there
        "limited": "not_evidenced",  # the field is not there
        "private": "fail",  # all is there
    }
    reason = one(rows, "encrypted")["reason"]
    assert reason.startswith("the snapshot was made without what this needs:")
    assert "encryption.algorithm" in reason


def test_a_fact_that_an_older_snapshot_cannot_answer_is_not_evidenced(tmp_path: Path) -> None:
    """The rest of the snapshot is judged all the same."""
    sized = check_yaml("sized", "identity.size > 0", resource="aws_home", reason="'x'")
    row = vault("a", {}, network={"public": True}, policy={})
    rows = judge_older(tmp_path, [ALL_ENCRYPTED, sized], [VAULTS_FACT], OLDER_VAULT, row)
    assert statuses(rows) == {"all_encrypted": "not_evidenced", "sized": "pass"}


def test_a_field_that_had_another_type_is_not_evidenced(tmp_path: Path) -> None:
    texts = TableSchema(
        "aws_vault",
        "aws",
        "region",
        (Facet("encryption", (Field("algorithm", "text"), Field("bits", "text"))),),
    )
    check = check_yaml("strong", "encryption.bits >= 128")
    row = vault("a", {}, encryption={"algorithm": "AES256", "bits": "many"})
    assert statuses(judge_older(tmp_path, [check], [], texts, row)) == {"strong": "not_evidenced"}


def test_sql_that_fails_all_the_same_names_the_fact_and_its_line(tmp_path: Path) -> None:
    broken = fact_yaml("broken", "SELECT account, nothing FROM aws_vault", {"nothing": column()})
    snapshot = sealed_snapshot(tmp_path / "store", [home(identity={}), Unit(())])
    catalogue = make_catalogue(tmp_path / "catalogue", [ENCRYPTED], [broken])
    with pytest.raises(EvaluationError) as caught:
        evaluate(snapshot, catalogue, SCHEMAS, tmp_path / "out")
    assert "facts/broken.yaml:" in caught.value.where
    assert caught.value.where.endswith(": sql")


# ------------------------------------------------------------------------------- determinism

ESTATE = [
    home(identity={"size": 1}),
    home(OTHER_ACCOUNT, identity={"size": 2}),
    Unit(
        (
            vault("b", {"Owner": "x"}, encryption={"algorithm": "AES256"}, network={}),
            vault("a", {}, network={"public": True}, policy={}),
        )
    ),
    Unit((vault("c", None, encryption={}),), region=THERE),
    Unit((), region="ap-south-1", listed=Outcome.DENIED, detail="AccessDenied"),
]


def test_the_same_evidence_gives_the_same_findings_and_digest_whatever_the_order(
    tmp_path: Path,
) -> None:
    catalogue = make_catalogue(tmp_path / "catalogue", [*CHECKS, ALL_ENCRYPTED], [VAULTS_FACT])
    straight = sealed_snapshot(tmp_path / "one", ESTATE)
    reverse = sealed_snapshot(tmp_path / "two", ESTATE[::-1])
    shuffled = dataclasses.replace(straight, units=straight.units[::-1])
    runs = [
        evaluate(snapshot, catalogue, SCHEMAS, tmp_path / f"out{number}", cursors=cursors)
        for number, (snapshot, cursors) in enumerate(
            [(straight, 1), (straight, 3), (reverse, 2), (shuffled, 16), (straight, 1)]
        )
    ]
    assert {run.digest for run in runs} == {runs[0].digest}
    first = rows_of(runs[0])
    assert len(first) == runs[0].count > 20
    assert all(rows_of(run) == first for run in runs)
    in_order = ("check_id", "account", "region", "resource_id")
    assert first == sorted(first, key=lambda row: [row[name] for name in in_order])
    assert all(run.by_check == runs[0].by_check for run in runs)


def test_the_digest_changes_with_any_finding(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path / "catalogue", [ENCRYPTED])
    digests = []
    for number, algorithm in enumerate(("AES256", "AES512", "NONE")):
        unit = Unit((vault("a", {}, encryption={"algorithm": algorithm}),))
        snapshot = sealed_snapshot(tmp_path / str(number), [unit])
        digests.append(evaluate(snapshot, catalogue, SCHEMAS, tmp_path / f"out{number}").digest)
    assert len(set(digests)) == 3


def test_counts_by_check_account_severity_and_owner_add_up(tmp_path: Path) -> None:
    snapshot = sealed_snapshot(tmp_path / "store", ESTATE)
    catalogue = make_catalogue(tmp_path / "catalogue", CHECKS)
    found = evaluate(snapshot, catalogue, SCHEMAS, tmp_path / "out", owner_tags=["Owner"])
    rows = rows_of(found)
    for name, counts in (
        ("check_id", found.by_check),
        ("account", found.by_account),
        ("severity", found.by_severity),
        ("owner", found.by_owner),
    ):
        assert set(counts) == {row[name] for row in rows}
        for value, count in counts.items():
            mine = [row["status"] for row in rows if row[name] == value]
            assert count.as_dict() == {
                status: mine.count(status)
                for status in ("pass", "fail", "not_evidenced", "not_applicable", "excepted")
            }


def test_a_small_memory_limit_changes_nothing(tmp_path: Path) -> None:
    snapshot = sealed_snapshot(tmp_path / "store", ESTATE)
    catalogue = make_catalogue(tmp_path / "catalogue", CHECKS)
    plain = evaluate(snapshot, catalogue, SCHEMAS, tmp_path / "plain")
    tight = evaluate(snapshot, catalogue, SCHEMAS, tmp_path / "tight", memory_limit="64MB")
    assert tight.digest == plain.digest


# ---------------------------------------------------- denial can only lower, whatever is denied

FRAMEWORKS = [
    framework_yaml(
        "each", {"1": ["encryption-at-rest"], "2": ["private"], "3": ["owned"], "4": ["homes"]}
    )
]
LATTICE_CHECKS = [
    ENCRYPTED,
    STRONG,
    {**CLOSED, "control": "private"},
    {**PRIVATE, "control": "private"},
    {**OWNED, "control": "owned"},
    {**ALL_ENCRYPTED, "control": "homes"},
    check_yaml(
        "few_open",
        "fact.open = 0 or identity.size is null",
        resource="aws_home",
        control="homes",
        reason="'x'",
    ),
]

_rules = st.lists(
    st.fixed_dictionaries(
        {
            "cidr": st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", None]),
            "from_port": st.sampled_from([0, 22, 443, None]),
            "to_port": st.sampled_from([22, 443, None]),
        }
    ),
    max_size=2,
)
_statements = st.lists(
    st.fixed_dictionaries(
        {
            "sid": st.just(""),
            "effect": st.sampled_from(["Allow", "Deny"]),
            "principals": st.sampled_from([["*"], ["AWS:111111111111"]]),
            "not_principals": st.just([]),
            "actions": st.just(["*"]),
            "not_actions": st.just([]),
            "resources": st.just(["*"]),
            "not_resources": st.just([]),
            "conditions": st.just([]),
        }
    ),
    max_size=1,
)
_facets = {
    "encryption": st.fixed_dictionaries(
        {
            "algorithm": st.sampled_from(["AES256", "AES256", "AES256", "NONE", None]),
            "bits": st.sampled_from([56, 256, 256, None]),
        }
    ),
    "network": st.fixed_dictionaries(
        {"public": st.sampled_from([False, False, True, None]), "rules": _rules}
    ),
    "policy": st.fixed_dictionaries({"statements": _statements}),
    "tags": st.sampled_from([{}, {"Owner": "x"}, {"Owner": "y"}]),
}
_vaults = st.lists(st.fixed_dictionaries(_facets), max_size=2)
_taken = st.sets(st.sampled_from(["encryption", "network", "policy", "tags"]))


@st.composite
def permissions_taken(draw: st.DrawFn) -> tuple[list[Unit], list[Unit]]:
    """The units of an account, and the same after permissions were taken away."""
    identity = {"size": draw(st.sampled_from([None, 1]))}
    before = [home(identity=identity)]
    after = [home(**({"identity": identity} if draw(st.booleans()) else {}))]
    for region in (HERE, THERE):
        rows = tuple(vault(f"{region}{n}", **facets) for n, facets in enumerate(draw(_vaults)))
        before.append(Unit(rows, region=region))
        if draw(st.sampled_from([False, False, True])):
            after.append(Unit((), region=region, listed=Outcome.DENIED))
        else:
            fewer = tuple({**row, **dict.fromkeys(draw(_taken))} for row in rows)
            after.append(Unit(fewer, region=region))
    return before, after


def moved(unit: Unit, account: str) -> Unit:
    """The same unit in another account; ids stay unique in the snapshot."""
    rows = tuple({**row, "id": f"{row['id']}@{account}"} for row in unit.rows)
    return dataclasses.replace(unit, account=account, rows=rows)


def scored(catalogue: Catalogue, rows: Rows) -> FrameworkResult:
    """Score the findings of one account as if it were all there is."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["check_id"], []).append(row["status"])
    counts = {name: Counts.from_statuses(Counter(items)) for name, items in found.items()}
    return score_framework(catalogue, catalogue.framework("each"), counts)


@settings(max_examples=10, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(pairs=st.lists(permissions_taken(), min_size=12, max_size=12))
def test_taking_evidence_away_never_satisfies_a_requirement_nor_raises_a_score(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[list[Unit], list[Unit]]]
) -> None:
    """Every pair is two accounts of one snapshot: with, and without the permissions."""
    folder = tmp_path_factory.mktemp("estate")
    catalogue = make_catalogue(folder / "catalogue", LATTICE_CHECKS, [VAULTS_FACT], FRAMEWORKS)
    units = [
        moved(unit, f"{number}-{side}")
        for number, pair in enumerate(pairs)
        for side, items in zip(("before", "after"), pair, strict=True)
        for unit in items
    ]
    snapshot = sealed_snapshot(folder / "store", units)
    rows = rows_of(evaluate(snapshot, catalogue, SCHEMAS, folder / "out"))
    for number in range(len(pairs)):
        before = [row for row in rows if row["account"] == f"{number}-before"]
        after = [row for row in rows if row["account"] == f"{number}-after"]
        verdicts = {(row["check_id"], row["resource_name"]): row["status"] for row in before}
        for row in after:
            known = verdicts.get((row["check_id"], row["resource_name"]), "not_evidenced")
            assert row["status"] in (known, "not_evidenced"), (row, known)
        assert_no_better(scored(catalogue, before), scored(catalogue, after))


def assert_no_better(before: FrameworkResult, after: FrameworkResult) -> None:
    for old, new in zip(before.requirements, after.requirements, strict=True):
        if new.status is RequirementStatus.SATISFIED:
            assert old.status is RequirementStatus.SATISFIED, old.id
    better, worse = before.score, after.score
    assert worse is None or better is None or worse <= better
    assert better is not None or worse in (None, 0), "what was not judged cannot score now"

"""Facts: joins and set-wise values, and what a gap in the tables that they read does to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_controls import (
    ACCOUNT,
    HERE,
    HOME,
    OTHER_ACCOUNT,
    STARTED,
    THERE,
    VAULT,
    Unit,
    column,
    fact_yaml,
    full_row,
    home,
    vault,
)

from controls.database import create_empty_table, insert_rows, lock, open_database
from controls.facts import facts_of, materialise, row_source
from controls.models import Fact
from evidence.outcome import Outcome
from evidence.schema import TableSchema

SUMMARY = (
    "SELECT account, any_of(network.public) AS some_public, all_of(encryption.rotated)"
    " AS all_rotated, count_of(encryption.bits > 1) AS strong, list(name ORDER BY name) AS names"
    " FROM aws_vault GROUP BY account"
)
COLUMNS = {
    "some_public": column("any", none=False),
    "all_rotated": column("all", none=True),
    "strong": column(of="integer", none=0),
    "names": column(of="texts", none=[]),
}
BY_ACCOUNT = Fact.model_validate(fact_yaml("vaults", SUMMARY, COLUMNS))
_EVERYWHERE = Fact.model_validate(
    fact_yaml(
        "everywhere",
        "SELECT h.account, any_of(v.network.public) AS some_public,"
        " count_of(v.encryption.bits > 1) AS strong"
        " FROM aws_home AS h CROSS JOIN aws_vault AS v GROUP BY h.account",
        {name: COLUMNS[name] for name in ("some_public", "strong")},
    )
)
DENIED = Outcome.DENIED
UNKNOWN = {"some_public": None, "all_rotated": None, "strong": None, "names": None}


def good(name: str, **facets: Any) -> dict[str, Any]:
    observed = {"encryption": {"rotated": True, "bits": 8}, "network": {}, "policy": {}}
    return vault(name, {}, **{**observed, **facets})


def rows_of(
    facts: Sequence[Fact], units: Sequence[Unit], subject: TableSchema = HOME
) -> dict[str, dict[str, Any]]:
    """Materialise facts over units; return each subject's `fact`, captures and what is missing."""
    with open_database(STARTED) as database:
        for schema in (HOME, VAULT):
            create_empty_table(database, schema)
            found = [
                full_row(schema, row, unit)
                for unit in units
                if unit.resource_type == schema.resource_type
                for row in unit.rows
            ]
            insert_rows(database, schema, found)
        for unit in units:
            database.execute(
                "INSERT INTO units VALUES ('aws', ?, ?, ?, ?, ?, ?)",
                [
                    unit.account,
                    unit.region,
                    unit.resource_type,
                    unit.listed.observed,
                    f"{unit.listed.value} {unit.detail}".strip(),
                    [f"{unit.key.path}#1"],
                ],
            )
        lock(database)
        for fact in facts:
            materialise(database, fact)
        source = row_source(subject.resource_type, facts)
        read = database.execute(
            f"SELECT id, fact, fact_captures, fact_missing FROM {source} ORDER BY id"
        ).fetchall()
    assert len({row[0] for row in read}) == len(read), "one row a subject"
    return {row[0]: {"fact": row[1], "captures": row[2], "missing": row[3]} for row in read}


def fact_of(*units: Unit, facts: Sequence[Fact] = (BY_ACCOUNT,)) -> dict[str, Any]:
    """The fact of the account's home."""
    found: dict[str, Any] = rows_of(facts, [home(identity={}), *units])[f"arn:home/{ACCOUNT}"]
    return found


def denied(region: str = HERE, *rows: dict[str, Any]) -> Unit:
    return Unit(rows, region=region, listed=Outcome.DENIED, detail="AccessDenied")


# ------------------------------------------------------------------------------ what was observed


def test_a_fact_summarises_the_rows_of_its_own_account() -> None:
    mine = Unit((good("b"), good("a", encryption={"rotated": False, "bits": 1})))
    others = Unit((good("x", network={"public": True}),), account=OTHER_ACCOUNT)
    assert fact_of(mine, others)["fact"] == {
        "some_public": False,
        "all_rotated": False,
        "strong": 1,
        "names": ["a", "b"],
    }


def test_where_the_tables_were_read_and_hold_nothing_the_none_values_count() -> None:
    found = fact_of(Unit(()))
    assert found["fact"] == {"some_public": False, "all_rotated": True, "strong": 0, "names": []}
    assert found["missing"] is None


def test_an_absent_listing_is_an_observed_empty_one() -> None:
    assert fact_of(Unit((), listed=Outcome.ABSENT))["fact"]["strong"] == 0


def test_a_fact_cites_the_listings_that_it_rests_on() -> None:
    found = fact_of(Unit((good("a"),)), Unit((), region=THERE))
    assert sorted(found["captures"]) == [
        f"aws/{ACCOUNT}/{THERE}/aws_vault#1",
        f"aws/{ACCOUNT}/{HERE}/aws_vault#1",
    ]


def test_what_only_accounts_of_another_kind_hold_counts_for_every_account() -> None:
    """A subscription is judged by its tenant: that it holds no tables of a tenant is no gap."""
    tenant = Unit((good("a", network={"public": True}),), account="tenant")
    found = rows_of([_EVERYWHERE], [home(identity={}), home(OTHER_ACCOUNT, identity={}), tenant])
    for account in (ACCOUNT, OTHER_ACCOUNT):
        seen = found[f"arn:home/{account}"]
        assert seen["fact"] == {"some_public": True, "strong": 1}
        assert f"aws/tenant/{HERE}/aws_vault#1" in seen["captures"]


def test_what_could_not_be_read_of_another_kind_is_missing_in_every_account() -> None:
    tenant = Unit((), account="tenant", listed=Outcome.DENIED, detail="Forbidden")
    found = rows_of([_EVERYWHERE], [home(identity={}), tenant])[f"arn:home/{ACCOUNT}"]
    assert found["fact"] == {"some_public": None, "strong": None}
    assert found["missing"] == f"aws_vault in {HERE}: denied Forbidden"


def test_a_gap_in_another_account_of_the_same_kind_is_none_here() -> None:
    elsewhere = [home(OTHER_ACCOUNT, identity={}), Unit((), account=OTHER_ACCOUNT, listed=DENIED)]
    assert fact_of(Unit(()), *elsewhere)["fact"]["strong"] == 0


def test_several_facts_share_one_struct() -> None:
    sizes = Fact.model_validate(
        fact_yaml(
            "sizes",
            "SELECT account, max(identity.size) AS size FROM aws_home GROUP BY account",
            {"size": column(of="integer")},
            reads=["aws_home"],
        )
    )
    units = [home(identity={"size": 7}), Unit((good("a"),))]
    found = rows_of([BY_ACCOUNT, sizes], units)[f"arn:home/{ACCOUNT}"]["fact"]
    assert found["size"] == 7
    assert found["names"] == ["a"]


def test_facts_of_a_type_are_in_the_order_of_their_ids() -> None:
    later = BY_ACCOUNT.model_copy(update={"id": "zones"})
    foreign = BY_ACCOUNT.model_copy(update={"id": "foreign", "subject": "aws_vault"})
    assert [f.id for f in facts_of([later, foreign, BY_ACCOUNT], "aws_home")] == ["vaults", "zones"]


# ---------------------------------------------------------------------------------- under gaps


def test_nothing_is_known_where_nothing_could_be_read() -> None:
    found = fact_of(denied())
    assert found["fact"] == UNKNOWN
    assert found["missing"] == f"aws_vault in {HERE}: denied AccessDenied"


def test_nothing_is_known_where_a_type_was_never_asked_for() -> None:
    assert fact_of()["fact"] == UNKNOWN


def test_a_gap_keeps_what_one_observed_case_is_enough_for() -> None:
    """`any` stays true and `all` stays false: the other regions cannot change that."""
    bad = good("bad", network={"public": True}, encryption={"rotated": False, "bits": 8})
    assert fact_of(Unit((bad,)), denied(THERE))["fact"] == {
        "some_public": True,
        "all_rotated": False,
        "strong": None,
        "names": None,
    }


def test_a_gap_takes_away_what_an_unseen_case_could_overturn() -> None:
    assert fact_of(Unit((good("a"),)), denied(THERE))["fact"] == UNKNOWN


def test_a_listing_that_broke_off_counts_as_a_gap_though_it_gave_rows() -> None:
    assert fact_of(denied(HERE, good("a")))["fact"] == UNKNOWN


def test_a_gap_in_one_account_does_not_touch_another() -> None:
    units = [
        home(identity={}),
        home(OTHER_ACCOUNT, identity={}),
        denied(),
        Unit((good("x"),), account=OTHER_ACCOUNT),
    ]
    found = rows_of([BY_ACCOUNT], units)
    assert found[f"arn:home/{ACCOUNT}"]["fact"] == UNKNOWN
    assert found[f"arn:home/{OTHER_ACCOUNT}"]["fact"]["strong"] == 1


def test_one_of_two_tables_that_could_not_be_read_is_a_gap() -> None:
    both = BY_ACCOUNT.model_copy(update={"reads": ("aws_vault", "aws_home")})
    whole = [home(identity={}), Unit((good("a"),))]
    assert rows_of([both], whole)[f"arn:home/{ACCOUNT}"]["fact"]["strong"] == 1
    partial = [replace(whole[0], listed=Outcome.THROTTLED), whole[1]]
    assert rows_of([both], partial)[f"arn:home/{ACCOUNT}"]["fact"]["strong"] is None


def test_one_of_two_tables_that_was_never_asked_for_is_a_gap() -> None:
    both = BY_ACCOUNT.model_copy(
        update={"subject": "aws_vault", "reads": ("aws_vault", "aws_home")}
    )
    unit = Unit((good("a"),))
    whole = rows_of([both], [unit, home(identity={})], VAULT)["arn:vault/a"]["fact"]
    assert whole["strong"] == 1
    assert rows_of([both], [unit], VAULT)["arn:vault/a"]["fact"]["strong"] is None


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([{"rotated": True}, None], {"all_rotated": None, "strong": None}),
        ([{"rotated": False}, None], {"all_rotated": False, "strong": None}),
        ([{"rotated": None, "bits": 8}], {"all_rotated": None, "strong": 1}),
        ([None], {"all_rotated": None, "strong": None}),
    ],
)
def test_a_facet_of_one_row_that_was_not_observed_is_not_known(
    rows: list[dict[str, Any] | None], wanted: dict[str, Any]
) -> None:
    unit = Unit(tuple(good(str(n), encryption=facet) for n, facet in enumerate(rows)))
    found = fact_of(unit)["fact"]
    assert {name: found[name] for name in wanted} == wanted
    assert found["some_public"] is False, "another facet is not touched"


# -------------------------------------------------------------------- account, region, resource

PER_REGION = Fact.model_validate(
    fact_yaml(
        "regional",
        "SELECT account, region, count_of(encryption.rotated) AS rotated"
        " FROM aws_vault GROUP BY account, region",
        {"rotated": column(of="integer", none=0)},
        by="region",
        **{"for": "aws_vault"},
    )
)
PER_RESOURCE = Fact.model_validate(
    fact_yaml(
        "sibling",
        "SELECT a.id, any_of(b.encryption.rotated) AS has_rotated_sibling"
        " FROM aws_vault AS a JOIN aws_vault AS b ON a.account = b.account AND a.id <> b.id"
        " GROUP BY a.id",
        {"has_rotated_sibling": column("any", none=False)},
        by="id",
        **{"for": "aws_vault"},
    )
)


def test_a_fact_by_region_is_touched_by_gaps_of_its_region_only() -> None:
    units = [Unit((good("here"),)), denied(THERE, good("there"))]
    found = rows_of([PER_REGION], units, VAULT)
    assert found["arn:vault/here"]["fact"] == {"rotated": 1}
    assert found["arn:vault/there"]["fact"] == {"rotated": None}
    assert found["arn:vault/there"]["missing"] == f"aws_vault in {THERE}: denied AccessDenied"


def test_a_fact_by_region_needs_the_global_tables_that_it_reads() -> None:
    reads = PER_REGION.model_copy(update={"reads": ("aws_vault", "aws_home")})
    listed = [Unit((good("here"),)), home(identity={})]
    assert rows_of([reads], listed, VAULT)["arn:vault/here"]["fact"] == {"rotated": 1}
    unlisted = [listed[0], replace(listed[1], listed=Outcome.DENIED, rows=())]
    assert rows_of([reads], unlisted, VAULT)["arn:vault/here"]["fact"] == {"rotated": None}


def test_a_fact_by_region_about_a_global_subject_needs_every_region() -> None:
    about_home = Fact.model_validate(
        fact_yaml(
            "regional",
            "SELECT account, 'global' AS region, count_of(encryption.rotated) AS rotated"
            " FROM aws_vault GROUP BY account",
            {"rotated": column(of="integer", none=0)},
            by="region",
        )
    )
    assert fact_of(Unit((good("a"),)), Unit((), region=THERE), facts=[about_home])["fact"] == {
        "rotated": 1
    }
    assert fact_of(Unit((good("a"),)), denied(THERE), facts=[about_home])["fact"] == {
        "rotated": None
    }


def test_a_fact_by_id_is_joined_to_its_resource() -> None:
    units = [Unit((good("a"), good("b", encryption={"rotated": False})))]
    found = rows_of([PER_RESOURCE], units, VAULT)
    assert found["arn:vault/a"]["fact"] == {"has_rotated_sibling": False}
    assert found["arn:vault/b"]["fact"] == {"has_rotated_sibling": True}


def test_a_resource_that_the_fact_does_not_name_gets_the_none_value() -> None:
    found = rows_of([PER_RESOURCE], [Unit((good("alone"),))], VAULT)
    assert found["arn:vault/alone"]["fact"] == {"has_rotated_sibling": False}


# -------------------------------------------------------------------------- aggregates of facts


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_database(STARTED) as opened:
        yield opened


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.sampled_from([True, False, None]), max_size=5))
def test_any_of_all_of_and_count_of_are_kleene_logic(
    database: duckdb.DuckDBPyConnection, values: list[bool | None]
) -> None:
    words = {True: "true", False: "false", None: "NULL"}
    listed = f"CAST([{', '.join(words[value] for value in values)}] AS BOOLEAN[])"
    found = database.execute(
        f"SELECT any_of(v), all_of(v), count_of(v) FROM (SELECT unnest({listed}) AS v)"
    ).fetchone()
    unknown = None in values
    exists = True if True in values else None if unknown else False
    every = False if False in values else None if unknown else True
    assert found == (exists, every, None if unknown else values.count(True))


def test_a_fact_that_does_not_yield_its_columns_fails_when_it_is_made() -> None:
    wrong = BY_ACCOUNT.model_copy(update={"sql": "SELECT account FROM aws_vault"})
    with pytest.raises(duckdb.BinderException, match="some_public"):
        fact_of(Unit(()), facts=[wrong])


def test_what_is_read_has_the_declared_type() -> None:
    floats = BY_ACCOUNT.model_copy(update={"sql": SUMMARY.replace("count_of(", "1.0 * count_of(")})
    found = fact_of(Unit((good("a"),)), facts=[floats])["fact"]["strong"]
    assert (found, type(found)) == (1, int)

"""Whatever is done to a store or a bundle, verification notices and names it.

A seeded fuzz; `benchmarks/tamper.py` runs as many more as one likes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support_cli import auditpack
from support_mutations import STORE_TAMPERINGS
from support_tampered_bundle import Bundles, bundle_estates
from support_tampering import Estate, summary, tampered_store

AT_ONCE = 125
CHUNKS = 20
"""2,500 in all; each chunk is a test of its own, so that they are spread over the cores."""


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Estate:
    return tampered_store(tmp_path_factory.mktemp("tampering"))


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_is_done_to_a_store_is_noticed_and_named(estate: Estate, chunk: int) -> None:
    seeds = range(chunk * AT_ONCE, (chunk + 1) * AT_ONCE)
    misses = [str(found) for found in map(estate.attempt, seeds) if found.miss]
    assert misses == []


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return bundle_estates(tmp_path_factory.mktemp("bundles"))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["folder", "resigned", "archive"])
def test_whatever_is_done_to_a_bundle_is_noticed_and_named(bundles: Bundles, form: str) -> None:
    tampered: Estate = getattr(bundles, form)
    misses = [str(found) for found in map(tampered.attempt, range(250)) if found.miss]
    assert misses == []


def test_the_fuzz_reaches_every_file_kind(estate: Estate) -> None:
    kinds = {path.split("/")[0] for path in estate.files}
    assert kinds == {
        "auditpack-store.json",
        "certificates",
        "revocations",
        "log",
        "snapshots",
        "derivations",
        "assessments",
        "attestations",
        "decisions",
        "packs",
    }
    assert estate.genuine.log is not None
    assert estate.genuine.log.timestamped > 0, "entries with a timestamp are among them"
    assert any("no timestamp" in remark.what for remark in estate.genuine.remarks)


def test_a_verification_that_sees_nothing_would_fail_the_fuzz(estate: Estate) -> None:
    """The judge itself: a report without faults is a miss for all that is not harmless."""
    blind = Estate(
        estate.root,
        lambda _: estate.genuine,
        STORE_TAMPERINGS,
        estate.parts,
        estate.keys,
        estate.states,
        estate.checkpoint,
    )
    for attempt in map(blind.attempt, range(40)):
        assert bool(attempt.miss) != attempt.tampering.harmless
    assert estate.verify(attempt.tampering.trust).ok, "everything was put back"


@pytest.mark.parametrize("name", [b"line\nbreak", b"not utf-8 \xff", "umlaut ä".encode()])
def test_a_file_with_an_odd_name_can_be_named(tmp_path: Path, estate: Estate, name: bytes) -> None:
    import os

    path = estate.root / "packs" / os.fsdecode(name)
    path.write_bytes(b"")
    try:
        plain = auditpack("verify", "--store", str(estate.root), cwd=tmp_path)
        said = auditpack("verify", "--store", str(estate.root), "--json", cwd=tmp_path)
    finally:
        path.unlink()
    assert plain.code == said.code == 5, plain.err + said.err
    assert "Traceback" not in plain.err + said.err
    assert "belongs to nobody" in json.dumps(said.json)


def test_the_summary_counts_by_kind(estate: Estate) -> None:
    counted = summary([estate.attempt(1), estate.attempt(1), estate.attempt(2)])
    assert sum(total for _, total, _ in counted) == 3
    assert all(missed == 0 for _, _, missed in counted)

"""The demo, whole: what a stranger runs first."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import orjson
import pytest
from support_cli import auditpack

pytestmark = pytest.mark.slow

TENANT = "6d1f3a94-2c58-4e0b-8f67-91c0a7b3d215"
AZURE = (
    TENANT,
    "0b6e2f71-94ad-4c3e-8d15-5f2a7c903e41",
    "c47d9e08-1b36-4f5a-a2e9-7d80b6f4315c",
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """One run of the demo: what it said, and its folder."""
    folder = tmp_path_factory.mktemp("stranger")
    said = auditpack("demo", "--json", cwd=folder, timeout=900)
    assert said.code == 0, said.err
    return {"folder": folder, "said": said.json}


def test_it_ends_with_pack_site_store_and_scores(demo: dict[str, object]) -> None:
    said, folder = demo["said"], Path(str(demo["folder"]))
    assert isinstance(said, dict)
    assert (folder / said["pack"]).read_bytes().startswith(b"%PDF-")
    assert "<html" in (folder / said["site"]).read_text()
    assert (folder / said["store"]).is_dir()
    assert set(said["scores"]) == {"soc2", "cis_aws_7.0", "cis_azure_6.0", "cis_gcp_5.0"}
    accounts = set(said["snapshot"]["accounts"])
    assert {"111111111111", "222222222222", *AZURE} < accounts
    assert len(accounts - {"111111111111", "222222222222", *AZURE}) == 5, "Google's"
    assert said["snapshot"]["regions"] == ["eu-west-1", "us-east-1"]
    assert said["snapshot"]["resources"] > 900


def test_the_store_verifies(demo: dict[str, object]) -> None:
    said = auditpack(
        "verify",
        "--config",
        "auditpack-demo/auditpack.yaml",
        "--json",
        cwd=Path(str(demo["folder"])),
    )
    assert said.code == 0
    sealed = {kind: number for kind, number in said.json["sealed"].items() if number}
    assert sealed == {"snapshot": 1, "assessment": 1, "pack": 1}


def test_good_and_bad_are_told_apart(demo: dict[str, object]) -> None:
    said = auditpack(
        "export",
        "findings",
        "--config",
        "auditpack-demo/auditpack.yaml",
        "--format",
        "json",
        cwd=Path(str(demo["folder"])),
    )
    statuses = dict.fromkeys(("pass", "fail", "not_evidenced", "not_applicable"), 0)
    for finding in said.json:
        statuses[finding["status"]] += 1
        if finding["status"] in ("pass", "fail"):
            assert finding["captures"] or finding["resource_type"] in ("aws_account", "aws_region")
    assert statuses["pass"] > 200
    assert statuses["fail"] > 100
    assert statuses["not_evidenced"] > 0


def test_the_tables_follow_from_the_captures(demo: dict[str, object]) -> None:
    config = "auditpack-demo/auditpack.yaml"
    said = auditpack("rebuild", "--config", config, "--json", cwd=Path(str(demo["folder"])))
    assert said.code == 0, said.err
    assert {table["result"] for table in said.json["tables"].values()} == {"identical"}


def test_one_company_is_judged_in_all_its_clouds(demo: dict[str, object]) -> None:
    """A requirement that all clouds have checks for rests on findings in all."""
    folder = Path(str(demo["folder"]))
    file = sorted(folder.glob("auditpack-demo/store/assessments/*/assessment.json"))[0]
    results = json.loads(file.read_bytes())
    assert {name.split("_")[0] for name in results["findings"]["by_check"]} == {
        "aws",
        "azure",
        "entra",
        "gcp",
    }
    soc2 = next(item for item in results["frameworks"] if item["id"] == "soc2")
    access = next(item for item in soc2["requirements"] if item["id"] == "CC6.1")
    assert {name.split("_")[0] for name in access["checks"]} == {"aws", "azure", "entra", "gcp"}
    assert set(AZURE) <= set(results["findings"]["by_account"])


def test_no_planted_secret_is_anywhere_in_what_was_written(demo: dict[str, object]) -> None:
    folder = Path(str(demo["folder"])) / "auditpack-demo"
    planted = [b"not-a-real", b"demo-not", b"not-real"]
    import zstandard

    for file in folder.rglob("*"):
        if not file.is_file():
            continue
        data = file.read_bytes()
        if file.suffix == ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(data).read()
        for secret in planted:
            assert secret not in data, f"{secret!r} in {file.name}"


def test_the_captures_can_be_read_with_plain_tools(demo: dict[str, object]) -> None:
    folder = Path(str(demo["folder"])) / "auditpack-demo/store"
    segment = next(folder.rglob("captures/**/aws_s3_bucket.jsonl.zst"))
    line = subprocess.run(
        f"zstd -dc '{segment}' | sed -n 1p", shell=True, capture_output=True, check=True
    ).stdout
    capture = orjson.loads(line)
    assert capture["operation"] == "list_buckets"
    assert "ListAllMyBucketsResult" in capture["body"]


def test_a_second_demo_adds_a_snapshot_and_changes_nothing(demo: dict[str, object]) -> None:
    folder = Path(str(demo["folder"]))
    before = {path: path.read_bytes() for path in (folder / "auditpack-demo/store").rglob("*.json")}
    said = auditpack("demo", "--json", cwd=folder, timeout=900)
    assert said.code == 0, said.err
    for path, data in before.items():
        assert path.read_bytes() == data
    assert len(list((folder / "auditpack-demo/store/snapshots").iterdir())) == 2
    assert json.dumps(said.json["scores"])

"""What `auditpack permissions gcp` prints: exactly what is asked for, and only reading."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from gcp_small_server import TYPES
from support_cli import auditpack

from collectors.gcp.catalogue import load_resource_types
from collectors.gcp.permissions import required_permissions

READING = re.compile(r"^(cloudasset\.assets\.(list|search|analyze)[A-Za-z]+|iam\.roles\.get)$")
SCOPES = "organizations/9, folders/8, projects/lab"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with types of our own, and three scopes."""
    types = tmp_path / "auditpack.d" / "resources"
    types.mkdir(parents=True)
    for name, text in TYPES.items():
        (types / f"{name}.yaml").write_text(text)
    write(tmp_path, "gcp_small_bucket", SCOPES)
    return tmp_path


def write(folder: Path, types: str, scopes: str = "") -> None:
    """Write the configuration."""
    (folder / "auditpack.yaml").write_text(
        f"gcp: {{scopes: [{scopes}], types: [{types}], quota_project: payer}}\n"
    )


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ("gcp_small_folder", ["listResource"]),
        ("gcp_small_bucket", ["listIamPolicy", "listResource"]),
        ("gcp_small_public", ["listResource", "searchAllIamPolicies"]),
        (
            "gcp_small_actor",
            ["analyzeIamPolicy", "listResource", "searchAllIamPolicies", "searchAllResources"],
        ),
    ],
)
def test_the_role_is_what_the_types_ask_for(folder: Path, types: str, wanted: list[str]) -> None:
    write(folder, types, SCOPES)
    said = auditpack("permissions", "gcp", cwd=folder)
    assert said.code == 0, said.err
    found = said.json["role"]["includedPermissions"]
    more = ["iam.roles.get"] if types == "gcp_small_actor" else []
    assert found == [*(f"cloudasset.assets.{name}" for name in wanted), *more]
    assert said.json["apis"] == {"project": "payer", "services": ["cloudasset.googleapis.com"]}
    assert said.json["granted_on"] == ["organizations/9", "folders/8", "projects/lab"]
    assert said.json["made_in"] == [
        "organizations/9",
        "organizations/ORGANIZATION_NUMBER",
        "projects/lab",
    ]
    assert said.json["quota_role"]["includedPermissions"] == ["serviceusage.services.use"]
    assert said.json["quota_role_made_in"] == "projects/payer"


def test_the_role_file_is_what_gcloud_takes(folder: Path) -> None:
    said = auditpack("permissions", "gcp", "--format", "yaml", cwd=folder)
    role = yaml.safe_load(said.out)
    assert sorted(role) == ["description", "includedPermissions", "stage", "title"]
    assert role["includedPermissions"] == [
        "cloudasset.assets.listIamPolicy",
        "cloudasset.assets.listResource",
    ]


def test_the_commands_are_a_shell_script_that_grants_just_that(folder: Path) -> None:
    said = auditpack("permissions", "gcp", "--format", "gcloud", cwd=folder)
    (folder / "bin").mkdir()
    log = folder / "log"
    gcloud = folder / "bin/gcloud"
    gcloud.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    gcloud.chmod(0o755)
    shell = shutil.which("sh")
    assert shell is not None
    environment = {"PATH": f"{folder}/bin:/usr/bin:/bin", "MEMBER": "serviceAccount:a@b"}
    script = folder / "grant.sh"
    script.write_text(said.out)
    subprocess.run([shell, str(script)], check=True, cwd=folder, env=environment)
    lines = log.read_text().splitlines()
    assert lines[0] == "services enable cloudasset.googleapis.com --project=payer"
    created = [line for line in lines if line.startswith("iam roles create")]
    assert [line.split()[3:5] for line in created] == [
        ["auditpackReader", "--organization=9"],
        ["auditpackReader", "--organization=ORGANIZATION_NUMBER"],
        ["auditpackReader", "--project=lab"],
        ["auditpackQuota", "--project=payer"],
    ]
    bound = [line for line in lines if "add-iam-policy-binding" in line]
    assert [re.search(r"--role=(\S+)", line)[1] for line in bound] == [  # type: ignore[index]
        "organizations/9/roles/auditpackReader",
        "organizations/ORGANIZATION_NUMBER/roles/auditpackReader",
        "projects/lab/roles/auditpackReader",
        "projects/payer/roles/auditpackQuota",
    ]
    assert bound[1].startswith("resource-manager folders add-iam-policy-binding 8 ")
    role = yaml.safe_load((folder / "auditpack-role.yaml").read_text())
    assert len(role["includedPermissions"]) == 2


def test_the_terraform_names_the_same(folder: Path) -> None:
    said = auditpack("permissions", "gcp", "--format", "terraform", cwd=folder)
    for text in (
        "google_organization_iam_custom_role",
        "google_project_iam_custom_role",
        "google_folder_iam_member",
        "cloudasset.assets.listIamPolicy",
        "serviceusage.services.use",
        "google_project_service",
    ):
        assert text in said.out
    assert said.out.count("{") == said.out.count("}")
    assert said.out.count("[") == said.out.count("]")
    blocks = re.findall(r'^resource "(\w+)" "(\w+)"', said.out, re.MULTILINE)
    assert len(blocks) == len(set(blocks)) == 1 + 3 + 3 + 2


def test_without_configuration_it_is_for_an_organisation(tmp_path: Path) -> None:
    said = auditpack("permissions", "gcp", cwd=tmp_path, GOOGLE_CLOUD_PROJECT="")
    assert said.json["granted_on"] == ["organizations/ORGANIZATION_NUMBER"]
    assert said.json["apis"]["project"] == "QUOTA_PROJECT"


def test_the_built_in_types_only_read() -> None:
    needed = required_permissions(load_resource_types().values())
    assert "cloudasset.assets.listResource" in needed
    assert [name for name in needed if not READING.match(name)] == []

"""What `auditpack permissions azure` prints: exactly what is called, and only reading."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from azure_small_estate import TENANT, TYPES
from support_cli import auditpack

from collectors.azure.catalogue import calls_without_action, load_resource_types
from collectors.azure.permissions import required_permissions

READING = re.compile(r"^[A-Za-z.]+(/[A-Za-z]+)+/read$")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with three types of our own in scope."""
    types = tmp_path / "auditpack.d" / "resources"
    types.mkdir(parents=True)
    for name, text in TYPES.items():
        (types / f"{name}.yaml").write_text(text)
    (tmp_path / "auditpack.yaml").write_text(
        f"azure: {{tenants: [{{id: {TENANT}}}], types: [{', '.join(TYPES)}]}}\n"
    )
    return tmp_path


def test_the_role_is_what_the_types_call(folder: Path) -> None:
    said = auditpack("permissions", "azure", cwd=folder)
    assert said.code == 0, said.err
    role = said.json["role"]
    assert role["Actions"] == [
        "Microsoft.Authorization/locks/read",
        "Microsoft.ResourceGraph/resources/read",
        "Microsoft.Resources/subscriptions/read",
        "Microsoft.Storage/storageAccounts/blobServices/read",
        "Microsoft.Storage/storageAccounts/read",
    ]
    assert role["DataActions"] == []
    root = f"/providers/Microsoft.Management/managementGroups/{TENANT}"
    assert role["AssignableScopes"] == [root]
    assert said.json["microsoft_graph"]["application_permissions"] == ["User.Read.All"]


def test_the_commands_are_a_shell_script(folder: Path) -> None:
    said = auditpack("permissions", "azure", "--format", "az", cwd=folder)
    script = folder / "grant.sh"
    script.write_text(said.out)
    shell = shutil.which("sh")
    assert shell is not None
    assert subprocess.run([shell, "-n", str(script)], check=False).returncode == 0
    role = said.out.partition("<<'ROLE'\n")[2].partition("\nROLE\n")[0]
    assert json.loads(role)["IsCustom"] is True
    assert "for name in User.Read.All; do" in said.out
    assert "admin-consent" in said.out


def test_the_terraform_names_the_same(folder: Path) -> None:
    said = auditpack("permissions", "azure", "--format", "terraform", cwd=folder)
    for text in ("Microsoft.Authorization/locks/read", "User.Read.All", "azurerm_role_assignment"):
        assert text in said.out
    assert said.out.count("{") == said.out.count("}")
    assert said.out.count("[") == said.out.count("]")


def test_the_built_in_types_only_read_and_every_permission_is_known() -> None:
    specs = list(load_resource_types().values())
    assert calls_without_action(specs) == []
    needed = required_permissions(specs)
    assert [action for action in needed.actions if not READING.match(action)] == []
    assert [name for name in needed.graph if not re.search(r"\.Read(\.|$)", name)] == []

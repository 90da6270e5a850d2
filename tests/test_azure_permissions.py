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

from collectors.azure.actions import needs_of
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


@pytest.mark.parametrize(
    ("name", "derived", "documented"),
    [
        (
            "azure_security_center_jit_network_access_policy",
            "Microsoft.Security/jitNetworkAccessPolicies/read",
            "Microsoft.Security/locations/jitNetworkAccessPolicies/read",
        ),
        (
            "azure_subscription_policy",
            "Microsoft.Subscription/policies/read",
            "Microsoft.Subscription/Policies/default/read",
        ),
        (
            "azure_policy_state",
            "Microsoft.PolicyInsights/policyStates/read",
            "Microsoft.PolicyInsights/policyStates/queryResults/read",
        ),
    ],
)
def test_actions_that_azure_names_otherwise_than_the_path(
    name: str, derived: str, documented: str
) -> None:
    """A custom role with an action that does not exist is refused as a whole."""
    types = load_resource_types()
    asked = {action.lower() for action in required_permissions(types.values()).actions}
    assert derived.lower() not in asked
    assert documented.lower() in asked
    assert documented in set(needs_of(types[name]).values()), "a denial names it too"


def test_a_query_of_rows_keeps_its_own_action_beside_declared_ones() -> None:
    types = load_resource_types()
    assert required_permissions([types["azure_policy_state"]]).actions == (
        "Microsoft.PolicyInsights/policyStates/queryResults/read",
        "Microsoft.ResourceGraph/resources/read",
        "Microsoft.Resources/subscriptions/read",
    )


def test_no_call_needs_a_data_action() -> None:
    """All calls go to the control plane; what reads contents is a data action, and not ours."""
    of_data = re.compile(
        r"(?i)/(blobs|files|messages|entities|certificates|storageaccounts/sas)/"
        r"|vaults/(secrets|keys)/(?!read$)|/action$"
    )
    types = load_resource_types()
    actions = required_permissions(types.values()).actions
    assert [action for action in actions if of_data.search(action)] == []
    paths = [call.arm for spec in types.values() for call in spec.calls() if call.arm]
    assert [path for path in paths if not path.startswith(("/", "{id}", "{parent.id}"))] == []

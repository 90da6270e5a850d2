"""Which permission each reading of Google Cloud takes."""

from __future__ import annotations

from collectors.gcp.spec import ANALYZE, SEARCH

PERMISSIONS = {
    "resource": "cloudasset.assets.listResource",
    "iam_policy": "cloudasset.assets.listIamPolicy",
    "org_policy": "cloudasset.assets.listOrgPolicy",
    "access_policy": "cloudasset.assets.listAccessPolicy",
    SEARCH: "cloudasset.assets.searchAllIamPolicies",
    ANALYZE: "cloudasset.assets.analyzeIamPolicy",
}
"""By content, or by method. Source: cloud.google.com/asset-inventory/docs/roles-permissions."""

BESIDES = {
    ANALYZE: (
        "cloudasset.assets.searchAllIamPolicies",
        "cloudasset.assets.searchAllResources",
        "iam.roles.get",
    ),
}
"""What a method takes besides; roles are read where policies grant custom ones.

Source: cloud.google.com/policy-intelligence/docs/analyze-iam-policies, "Required permissions".
"""

GROUPS = "groups.read in Google Workspace, to see who is in a group"
"""What no role of the cloud gives: the members of groups are the directory's.

Source: the same page, "Required Google Workspace permissions".
"""

USES_QUOTA = "serviceusage.services.use"
"""What every call takes on the project that its quota is counted in (as the contents' source)."""

"""The messages of google.cloud.asset.v1, as protobuf has them below the library's wrappers.

The library wraps each message in a class of proto-plus; a page of a thousand assets is made several
times faster without.
"""

from __future__ import annotations

from typing import Any

from google.cloud import asset_v1
from google.cloud.asset_v1 import types

SERVICE = "google.cloud.asset.v1.AssetService"


def _plain(wrapper: Any) -> Any:
    return wrapper.pb()


ASSET = _plain(types.Asset)
ANALYSIS_RESULT = _plain(types.IamPolicyAnalysisResult)
ANALYZE_REQUEST = _plain(types.AnalyzeIamPolicyRequest)
ANALYZE_RESPONSE = _plain(types.AnalyzeIamPolicyResponse)
LIST_REQUEST = _plain(types.ListAssetsRequest)
LIST_RESPONSE = _plain(types.ListAssetsResponse)
RESOURCE_RESULT = _plain(types.ResourceSearchResult)
SEARCH_POLICIES_REQUEST = _plain(types.SearchAllIamPoliciesRequest)
SEARCH_POLICIES_RESPONSE = _plain(types.SearchAllIamPoliciesResponse)
SEARCH_RESOURCES_REQUEST = _plain(types.SearchAllResourcesRequest)
SEARCH_RESOURCES_RESPONSE = _plain(types.SearchAllResourcesResponse)

_CONTENTS: Any = asset_v1.ContentType
CONTENTS: dict[int, str] = {
    int(content): content.name.lower() if int(content) else "" for content in _CONTENTS
}
"""Each content type's number and its name in lower case; empty for names only."""

"""The HTML site: an assessment that opens from a folder, and leads down to the raw captures.

No server and no network: pages, styles and scripts are files beside each other, and data lie in
script files, which a browser may load from `file://` where it may not fetch JSON.
"""

from reports.site.build import Limits, SiteError, make_site

__all__ = ["Limits", "SiteError", "make_site"]

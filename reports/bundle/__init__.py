"""What is handed to an auditor: bundles and disclosures, to be checked without our software.

A bundle holds everything about one pack; a disclosure single captures and nothing of the rest.
Both carry a `VERIFY.md` whose commands need openssl, jq, pdfsig, coreutils and Python's standard
library, and the tests run these very commands.
"""

"""The demo: an invented company in a cloud that runs on this computer.

`estate.yaml` says what the company has, `server` starts a stand-in for AWS on a loopback port, and
`seed` fills it. From there on nothing is special: auditpack reads it as it reads the real AWS.
"""

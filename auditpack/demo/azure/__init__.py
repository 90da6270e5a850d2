"""The demo's Azure: the company's two subscriptions and its tenant, behind Azure's own interfaces.

`server.FakeAzure` answers as Azure Resource Manager, Resource Graph, Microsoft Graph and the token
endpoint do, over TLS on a loopback port, so that Azure's own SDKs talk to it unchanged. What the
company has is written in `estate/`; what such a thing usually looks like is in `bodies/`.
"""

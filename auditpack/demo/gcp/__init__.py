"""The demo's Google Cloud: the company's organisation, behind Cloud Asset Inventory's interface.

`server.FakeGcp` serves google.cloud.asset.v1.AssetService over gRPC on loopback ports, one in the
clear and one with TLS, and the endpoints at which Google's libraries sign in. What the company has
is written in `estate/`; what such a thing usually looks like is in `bodies/`.
"""

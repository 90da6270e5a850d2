"""Filling the demo's cloud: one module for each area, all of them plain calls of the AWS SDK."""

"""Azure and Entra ID: one engine, one YAML file a resource type."""

"""Collectors: where evidence comes from. One engine a provider, one YAML file a resource type."""

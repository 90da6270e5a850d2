"""The AWS collector: read-only calls through boto3, driven by one YAML file a resource type."""

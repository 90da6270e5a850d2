"""The words of `estate.yaml`: one module for each area of the cloud."""

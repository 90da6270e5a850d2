"""Google Cloud: Cloud Asset Inventory, read at one instant."""

"""The commands, one module each. Heavy libraries are imported inside them, when they run."""

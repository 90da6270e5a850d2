"""Controls: what must hold, and judging whether it does. Data first; meets evidence at its tables."""

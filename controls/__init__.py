"""Controls: what must hold, and judging whether it does. They meet evidence at its tables."""

"""The only thing that acts over time."""

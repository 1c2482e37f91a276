"""Tools in both directions: declarations, choices, calls, Google's own tools."""

"""Checks of a GenerateContentRequest: what Google refuses with a 400, and its words."""

"""Gemini's models: names and aliases, capabilities, prices and estimates."""

"""Building Gemini requests: contents, generation config, media, thinking, formats."""

"""An OpenAI-compatible batch gateway in front of the Gemini Batch API."""

__version__ = "0.1.0"

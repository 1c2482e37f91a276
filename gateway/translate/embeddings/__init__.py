"""The endpoint ``/v1/embeddings``: request to Gemini, answer back."""

"""The endpoint ``/v1/completions``: request to Gemini, answer back."""

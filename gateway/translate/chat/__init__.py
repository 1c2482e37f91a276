"""The endpoint ``/v1/chat/completions``: request to Gemini, answer back."""

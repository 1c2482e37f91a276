"""The endpoint ``/v1/responses``: request to Gemini, answer back."""

"""The endpoint ``/v1/images/generations``: request to Gemini, answer back."""

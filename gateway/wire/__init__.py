"""The words of both protocols: types, parsing, framing. No decisions."""

"""The words of both protocols: types, parsing and framing, without decisions."""

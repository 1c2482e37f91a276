"""The HTTP side: parse with ``wire/``, act through ``ports/``, answer with ``wire/``."""

"""State of a running emulator: projects, uploads, workers, webhook deliveries."""

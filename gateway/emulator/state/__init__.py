"""All that a running emulator knows: projects, uploads, workers, webhook deliveries."""

"""What a project holds: files, cached contents, models, webhooks; and the journal."""

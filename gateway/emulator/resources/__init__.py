"""Resources of a project: files, cached contents, models, webhooks; and the journal."""

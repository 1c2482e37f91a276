"""Metrics in Prometheus' form: the table of series, the numbers, the scrape."""

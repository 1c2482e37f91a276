"""Buckets beside directories."""

from tests.engines.fixtures import azure_environment, bucket_server, found_buckets

__all__ = ["azure_environment", "bucket_server", "found_buckets"]

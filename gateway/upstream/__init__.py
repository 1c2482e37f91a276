"""The Gemini API over HTTP, for batches and for single requests.

::

    gemini.py      GeminiUpstream: the port; one short method per kind of work
    options.py     what it needs to know, and every limit and timeout by name
    transport.py   one HTTP call: key, size and time limits, quick retries of what may be repeated
    errors.py      the one boundary: answers and transport failures -> Upstream* errors
    jobs.py        create, find, observe
    uploads.py     the resumable upload
    downloads.py   streamed results
"""

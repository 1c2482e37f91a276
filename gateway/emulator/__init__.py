"""A local look-alike of the Gemini API: batch jobs, files, models, synchronous calls.

It imports nothing of the gateway but its clock, and is judged by recordings of the live service and
by Google's own SDK, so that a misreading of the protocol is not made twice.
"""

from gateway.emulator.app import create_app
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.serve import serve

__all__ = ["EmulatorOptions", "create_app", "serve"]

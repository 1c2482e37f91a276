"""A local look-alike of the Gemini API: batch jobs, files, models, synchronous calls.

It imports nothing of the gateway but its clock, and is judged by recordings of the live service and
by Google's own SDKs, so that a misreading of the protocol is not made twice.

Where to look: ``options.py`` what can be set at start; ``faults/table.py`` what can be made to go
wrong, ``faults/reports.py`` what of it is reported of Google's service; ``faults/markers.py`` the
words in a prompt that say how it shall be answered; ``api/control.py`` the routes that steer a
running emulator; ``testing.py`` the pytest fixture; ``jobs/job.py`` how states follow from the
clock; ``jobs/operation.py`` a job on the wire; ``answers/`` what models say; ``checks/`` what is
refused; ``api/`` the routes.

Known to differ: see README, "What differs from Google, knowingly".
"""

from gateway.emulator.app import create_app
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.serve import serve

__all__ = ["EmulatorOptions", "create_app", "serve"]

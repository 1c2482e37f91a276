"""Settings that hold for every test."""

import signal

from hypothesis import settings

# Machines that run tests are busy: a slow example says nothing about the code.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

# A shell starts what it runs in the background with SIGINT ignored, and children inherit that: then
# no test could end a command with Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

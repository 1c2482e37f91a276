"""What holds for every test."""

from hypothesis import settings

# Machines that run tests are busy: a slow example says nothing about the code.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

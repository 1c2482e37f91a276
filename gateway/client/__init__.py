"""A client of a running gateway, for the commands: the same API that every other program uses."""

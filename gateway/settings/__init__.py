"""Settings: one table of their names, defaults, parsers and help texts.

::

    table.py    class Settings: a field for each, with name, default, parser and help
    values.py   the parsers: texts that are read and checked
    load.py     reads the environment into Settings

Nothing below ``app.py`` imports this room: consumers get small frozen dataclasses declared where
they are used.
"""

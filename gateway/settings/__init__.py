"""Settings, by name.

::

    table.py    a row for each: name, default, type, help
    values.py   what the rows hold: texts that are read and checked
    load.py     the environment, and the settings in force

Nothing below ``app.py`` imports this room: consumers get small frozen dataclasses declared where
they are used.
"""

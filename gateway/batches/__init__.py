"""The batch itself, pure: records, lifecycle, planning, polling, audit."""

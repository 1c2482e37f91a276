"""The CPU steps, for worker processes: plain functions from local paths to local paths.

Each takes a task and gives a small summary; limits, aliases and policy are arguments. What it
writes goes to the task's scratch directory; the runner makes blobs of it.
"""

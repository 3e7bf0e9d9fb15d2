"""A worker's side of the cluster: the process that watches cameras, and takes live checks and analyses.

Begin with `worker.py`, whose methods the server calls. This package knows the server by its messages only.
"""

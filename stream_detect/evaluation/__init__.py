"""Evaluation: measures models on labelled pictures and videos listed in a manifest: scores, figures and a report.

`training.publish` measures a model on the faces of its own training folder, for its card; this room judges arbitrary
files as the live check would, and compares models.
"""

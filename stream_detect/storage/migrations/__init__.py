"""Migrations of the tables: one module of `versions` per step, run in order when a database is opened.

A step is never changed once it is released. Each names the one before it (`down_revision`) and has a `downgrade`.
"""

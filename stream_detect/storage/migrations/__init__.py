"""How the tables came to be, step by step: one module of `versions` a step, run in order when a database is opened.

A step is never changed once released. Each names the one before it (`down_revision`) and can be undone (`downgrade`).
"""

"""Who may do what: users, their passwords, sessions and tokens, and the audit log. Synchronous; knows no HTTP.

Begin with `principal.py` (who a request comes from), then `directory.py` (how it is found out) and `accounts.py` (how
users change).
"""

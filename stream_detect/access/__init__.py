"""Access control: users, their passwords, sessions and tokens, and the audit log. Synchronous; knows no HTTP.

Begin with `principal.py` (who sent a request), then `directory.py` (how that is determined) and `accounts.py` (changes
of users).
"""

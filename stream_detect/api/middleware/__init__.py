"""What applies to every request: host and origin, who sent it and what it may do, its turn, the audit log, and errors.

Begin with `authorization`. `app/routes.py` puts the middleware in front of the routes; `permissions` has the minimum
role of each route.
"""

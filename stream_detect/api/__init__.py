"""HTTP: the routes and the bodies that they take and give, one module a resource.

A route reads a request, calls one service and writes the answer. This room starts and ends nothing, keeps nothing
between two requests, and does not know how services are joined: `app` makes them and hands them to the routers.
Begin at `cameras.py`, then `described.py` (what /openapi.json says of all routes) and `permissions.py` (who
may do what).
"""

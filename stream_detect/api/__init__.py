"""HTTP: the routes and their schemas, one module per resource.

A route reads a request, calls one service and writes the answer. This room starts and ends nothing, keeps nothing
between two requests, and does not know how services are connected: `app` makes them and passes them to the routers.
Begin with `cameras.py`, then `middleware` (what applies to every request) and `openapi.py` (what /openapi.json says).
"""

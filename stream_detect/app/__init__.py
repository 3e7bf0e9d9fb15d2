"""The server process: which services run, in which order they start and end, and the HTTP application around them.

Only this room and the commands read the whole `Settings`; it passes each service the sections that it uses. It knows no
SQL, no SDP and no pixels. Begin with `service.py`, which shows the order; `routes.py` lists the routes, `server.py` is
the process.
"""

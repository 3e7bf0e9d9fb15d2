"""The server process: which services run, in which order they start and end, and the HTTP application around them.

Only this room reads the whole `Settings`; it hands each service the sections that it uses. It knows no SQL, no SDP and
no pixels. Begin at `service.py`, which shows the order; `routes.py` lists what is served, `server.py` is the process.
"""

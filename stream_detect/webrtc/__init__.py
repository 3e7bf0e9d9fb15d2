"""WebRTC: live checks, publishers (WHIP) and viewers (WHEP), from a checked offer to the end of the connection.

Knows no HTTP, no database and no model: it is given an `Engine` for checks, a sink for what publishers send, and frames
to show. All of it lives on one event loop; what decodes, draws or encodes runs on threads. Begin at `check.py`, then
`peer_connection.py`; `offer.py` says which offers are taken, `sessions.py` who gets a place, and `aiortc_private` holds
all that reaches into aiortc.
"""

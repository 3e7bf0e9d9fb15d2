"""WebRTC: live checks, publishers (WHIP) and viewers (WHEP), from a checked offer to the end of the connection.

Knows no HTTP, no database and no model: it gets an `Engine` for checks, a sink for the frames of publishers, and frames
to show. It runs on one event loop; decoding, drawing and encoding run on threads. Begin with `live_check.py`, then
`peer_connection.py`; `offer.py` checks offers, `session_table.py` assigns places, and `aiortc_private` has everything
that uses private parts of aiortc.
"""

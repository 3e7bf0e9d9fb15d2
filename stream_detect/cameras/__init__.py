"""Cameras, watched day and night: connected, supervised, analysed, and their states and results passed to observers.

Begin with `camera.py` (one camera) and `fleet.py` (all of them). This room knows no HTTP, no WebRTC and no database.
"""

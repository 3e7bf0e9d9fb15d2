"""Cameras: connects to them, supervises and analyses them, and passes their states and results to observers.

Begin with `camera.py` (one camera) and `fleet.py` (all of them). This room knows no HTTP, no WebRTC and no database.
"""

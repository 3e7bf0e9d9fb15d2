"""Cameras day and night: each is supervised, judged, remembered and told of. Knows no HTTP, no WebRTC."""

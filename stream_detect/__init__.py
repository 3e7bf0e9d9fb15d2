"""Real-time deepfake detector for live video: frames in, the same frames out with a REAL / FAKE / UNCERTAIN badge."""

__version__ = "0.2.0"

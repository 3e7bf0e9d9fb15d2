"""What several rooms need for frames and files: stream clock, YUV planes, H.264 encoder, JPEG, atomic files.

Knows no source, no session and no model. Begin with `planes.py` for frames and `clock.py` for their times.
"""

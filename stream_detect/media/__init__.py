"""What several rooms need of frames and files, and none owns: clocks, YUV planes, the H.264 encoder, JPEG, whole files.

Knows no source, no session and no model. Begin at `planes.py` for frames and `clock.py` for their times.
"""

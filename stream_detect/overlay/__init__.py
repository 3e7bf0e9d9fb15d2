"""The overlay: the boxes and badges that are drawn on frames, from the newest result.

Works on the YUV planes of frames that are ours to write to; knows no source, no codec and no connection. Begin at
`overlay.py`.
"""

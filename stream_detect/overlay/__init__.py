"""The overlay: draws boxes and badges of the newest result on frames.

It draws on the YUV planes of writable frames; knows no source, no codec and no connection. Begin with `overlay.py`.
"""

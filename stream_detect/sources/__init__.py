"""Sources of frames: network cameras, devices and files are opened and decoded as players show them.

Begin with `reader.py` for live sources and `media.py` for files. This room knows no states of cameras, no analysis and
no API; addresses and their secrets are in `address.py`.
"""

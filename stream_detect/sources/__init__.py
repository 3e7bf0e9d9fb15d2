"""Where frames come from: network cameras, devices and files, opened, decoded and shown as players show them.

Begin with `reader.py` for what is live and `media.py` for files. This room knows no camera's state, no analysis and no
HTTP of ours; addresses and their secrets are in `address.py`.
"""

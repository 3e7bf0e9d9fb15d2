"""Where frames come from: network cameras, devices and files. PyAV lives here; threads are the caller's."""

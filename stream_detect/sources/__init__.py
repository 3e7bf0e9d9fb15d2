"""Where pictures come from: cameras of the network, publishers' names, devices and files, all through FFmpeg."""

"""Starts the server: `python server.py` does what `stream-detect serve` does."""

import sys

from stream_detect.cli import main

if __name__ == "__main__":
    main(["serve", *sys.argv[1:]])

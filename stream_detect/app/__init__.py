"""The services joined: what runs, in which order it starts and ends. Begin reading at `service.py`."""

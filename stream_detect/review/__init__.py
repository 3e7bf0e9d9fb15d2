"""Uploaded pictures and videos, reviewed: a file enters; its verdict, timeline, flagged frames and report leave."""

"""What is kept of a fake event: frame, face and clip, their folder and retention. Begin with `keeper`."""

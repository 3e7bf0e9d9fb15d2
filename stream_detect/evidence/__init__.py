"""Evidence of fake events: still, face and clip, their folder and retention. Begin with `keeper`."""

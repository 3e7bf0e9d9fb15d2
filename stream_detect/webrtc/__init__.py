"""WebRTC peers: the live check (webcam in, annotated video out). The only room that knows aiortc."""

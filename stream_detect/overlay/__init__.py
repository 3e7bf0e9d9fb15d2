"""What is done to pictures on the video clock: the overlay that is drawn on them and the encoder that sends them on."""

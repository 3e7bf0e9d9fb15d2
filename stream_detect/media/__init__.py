"""What several rooms need of pictures and files, and none owns: stream time, YUV planes, the encoder, whole files."""

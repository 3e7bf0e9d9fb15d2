"""What is kept of a fake event for people to look at: clip, pictures, their folder and their retention."""

"""The events of cameras: the rules that begin and end them, the journal that writes them down, the score history."""

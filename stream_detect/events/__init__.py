"""Events of cameras: the rules that begin and end them, and the journal that stores them. Begin with `recorder`."""

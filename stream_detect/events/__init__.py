"""Events of cameras: the rules that begin and end them, and their way into the database. Begin with `recorder`."""

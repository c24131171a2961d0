"""Sub-commands of the program ``nb201``."""

"""A network's training in compiled code, its products packed: `engine` for Python, `run` the compiled part."""

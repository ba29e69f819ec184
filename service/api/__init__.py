"""The HTTP door: routes, schemas and the mapping of errors, on top of the same flows as the command line.

Nothing is imported here, because the command line prints the same schemas and must not load a web framework.
"""

"""Run by `make test-install`: the built wheel and sdist, installed and used as strangers do.

Each environment is fresh: the core alone; together with a distribution that has a package called ``agents``,
before and after; in a folder with packages of our folders' names; and with the oldest versions of all that is declared.
"""

"""Leases of a GPU, 10 to 60 minutes each: what travels, what is done there in which order, what comes back.

See `benchmarks.gpu_lease.__main__` for the commands.
"""

"""Agents that know scores of untrained networks: zero-cost proxies (`nb201env.proxies`).

One readable file each: the classes in the order of one proxy (`best_proxy`) or of several (`proxy_ranks`),
and evolution that starts from what proxies promise (`warm_evolution`). Scores cost them nothing on the clock
of a search: an untrained network is scored in about a second, a training takes thousands. They are of
CIFAR-10's networks; those of another data set have the same cells.
"""

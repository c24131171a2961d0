"""Zero-cost proxies: every formula, and the computation of them all."""

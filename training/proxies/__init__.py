"""Zero-cost proxies: scores of networks that were never trained, after one look at them."""

"""True fronts, indicators and closed forms, held to brute force."""

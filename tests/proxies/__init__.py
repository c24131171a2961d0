"""The proxies of a file, and how well they rank."""

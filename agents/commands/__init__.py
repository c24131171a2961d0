"""The sub-commands that search and report."""

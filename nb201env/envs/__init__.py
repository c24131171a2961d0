"""The environments, single and vectorised."""

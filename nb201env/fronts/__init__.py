"""Several objectives at once: true Pareto fronts, and how good a set of architectures is."""

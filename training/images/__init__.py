"""The images that networks are trained on: original files, official lists, tasks."""

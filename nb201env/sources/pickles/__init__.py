"""A reader of the official files' pickles that executes nothing."""

"""A reader of pickles that executes nothing: of the official files, and of data sets' images."""

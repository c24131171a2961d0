"""Surrogates that predict a table from a part of one."""

"""Importers: official files to tables."""

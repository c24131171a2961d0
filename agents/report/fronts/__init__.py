"""The part of a report on searches with several objectives: numbers, tables and sentences."""

from tests.official_data import official_folder, official_tables

__all__ = ["official_folder", "official_tables"]

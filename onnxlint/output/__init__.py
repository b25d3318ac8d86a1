"""Reports as text, JSON and tables: each format is made from the same Report."""

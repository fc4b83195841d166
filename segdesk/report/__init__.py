"""Reports on one page: what was done, in words, tables and pictures."""

"""The modules of bench/compare.py: Python standard library only."""

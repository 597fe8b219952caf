"""What benchmarks of several parts share; loaded by parts.py."""

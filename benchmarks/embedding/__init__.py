"""What `benchmarks/embed.py` is made of: contestants, and how they are measured."""

"""Measures what each operation costs at several scales, fits the terms of that cost, and plans machines with them."""

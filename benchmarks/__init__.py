"""Measures the product against a floor (plain clients, no product code) and a naive service, in turns."""

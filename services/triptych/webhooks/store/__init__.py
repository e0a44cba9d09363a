"""The collections of listeners and deliveries. Only this package writes them."""

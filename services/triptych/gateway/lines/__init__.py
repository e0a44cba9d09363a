"""Creation of items by the thousand: reads lines of a request, sends them in chunks, and answers line by line."""

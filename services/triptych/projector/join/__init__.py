"""The joined topic: its records, who publishes them, and what watches over them."""

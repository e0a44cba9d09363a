"""Access to MongoDB: the driver, transactions, fencing, and the meaning of errors."""

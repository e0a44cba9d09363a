"""The way of a batch: sort, carry out, answer; and long work beside it."""

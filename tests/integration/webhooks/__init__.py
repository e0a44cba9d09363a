"""The webhook relay on real servers and real sockets."""

"""What administrators do with listeners, over HTTP and on the command line."""

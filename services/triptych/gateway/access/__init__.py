"""Access: authenticates API keys, authorises requests, and limits their rate."""

"""Units of the webhook relay, without servers."""

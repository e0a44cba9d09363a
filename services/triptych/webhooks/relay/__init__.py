"""From events to posted deliveries."""

"""Who asks: people by the hub's OAuth and an own session, programs by the hub's tokens."""

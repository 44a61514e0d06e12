"""What is free: one watch over the backend, answered from memory and pushed to whoever listens."""

"""One machine as one command: `aiinfn up` keeps proxy, hub and platform service running until `aiinfn down`."""

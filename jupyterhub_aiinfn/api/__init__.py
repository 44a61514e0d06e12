"""What travels over HTTP, typed once for service, client, hub and TypeScript."""

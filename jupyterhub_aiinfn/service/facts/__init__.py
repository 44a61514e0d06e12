"""What happened to workloads: facts that are only added, each once, by the hub's record and the service's own watch."""

"""Workloads as pods of a cluster, with Kueue for its queues: what is pure of it, so far."""

"""Where workloads run: this machine, or Kubernetes."""

"""What tests are made with: the Go modules of the cluster's programs, and `cluster`, which builds and runs them."""

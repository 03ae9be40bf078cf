"""What happens to a request: policy files to chains."""

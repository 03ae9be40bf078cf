"""The provider kinds that `config/gateway.yaml` may name."""

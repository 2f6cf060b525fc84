"""Free ports for servers of the tests."""

from broker.ports import free_port

__all__ = ["free_port"]

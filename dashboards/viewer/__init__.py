"""The live page: newest frames, decisions, ledgers and latencies of all devices, over HTTP."""

"""The device: camera, spool, ledger and publisher; a frame is its own until a receipt names it."""

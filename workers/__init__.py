"""From the broker to the decision: take, store, give a receipt, classify, record; and catch up on what was left."""

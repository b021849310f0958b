"""Outputs: each follows the journal with a cursor of its own and holds up no other."""

"""States and roles -> one vector per row. `spec` names poolings and needs no torch; the others hold them."""

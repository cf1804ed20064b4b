"""How good maps are, and what moved between them."""

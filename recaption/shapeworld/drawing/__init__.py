"""How scenes are laid out and what pictures of them are made of."""

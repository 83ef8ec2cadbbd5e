"""The exact score: what pictures hold of the scenes asked for, as a recogniser sees it."""

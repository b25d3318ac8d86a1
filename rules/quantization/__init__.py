"""Integer models and the road to them."""

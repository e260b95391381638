"""What design and effect both stand on: keys of rows, and folds drawn by them."""

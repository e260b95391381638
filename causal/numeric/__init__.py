"""What design and effect both stand on: keys of rows, folds drawn by them, and the grids numbers are told on."""

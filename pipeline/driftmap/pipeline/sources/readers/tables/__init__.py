"""Files of tables, whatever their format: which there are, their blocks, and rows read from them."""

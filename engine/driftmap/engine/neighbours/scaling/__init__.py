"""Columns and rows put on a common scale before distances are taken."""

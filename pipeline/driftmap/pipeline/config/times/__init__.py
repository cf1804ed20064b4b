"""Lengths of time, steps of the calendar and time zones, as settings say them."""

"""From fuzzy graphs and relations to aligned maps."""

"""Where the map over partitions runs."""

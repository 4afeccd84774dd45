"""What can be proved about a recording."""

"""What runs leave behind, and what can be concluded from it."""

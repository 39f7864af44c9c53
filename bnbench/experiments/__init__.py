"""What a config file says, and the network that it describes."""

"""The search for what is left between the floor and an epoch: stages left out, changes tried."""

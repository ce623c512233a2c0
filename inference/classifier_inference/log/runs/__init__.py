"""MLflow's runs: what they hold, how they are made, found and deleted."""

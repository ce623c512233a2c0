"""MLflow's runs over HTTP, under /api/v1/mlflow."""

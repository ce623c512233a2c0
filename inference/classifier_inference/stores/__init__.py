"""S3, HTTPS and MLflow: where files come from and go to, and what goes wrong with each."""

"""Where the prediction log goes to: MLflow by its REST API, objects in S3."""

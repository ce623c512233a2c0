"""The stores that the log is shipped to: MLflow by its REST API, objects in S3."""

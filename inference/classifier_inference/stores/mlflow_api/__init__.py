"""MLflow by its REST API, version 2.0: mlflow itself takes seconds and 150 MB to import.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

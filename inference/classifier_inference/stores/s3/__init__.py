"""Stores that speak S3, by boto3."""

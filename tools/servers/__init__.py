"""Real servers on free loopback ports, for the tests and for the demo: PostgreSQL, S3, Azure Blob, a Redshift look."""

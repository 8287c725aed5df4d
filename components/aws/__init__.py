"""The AWS side: buckets, keys, roles, the way to S3 and the budget. Loaded only where the settings name a cloud."""

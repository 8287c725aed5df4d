"""What users declare, as pydantic models: service, team and organisation files, and one settings file per environment."""

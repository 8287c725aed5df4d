"""What users declare, as pydantic models: service, team and organisation files, and the settings of an environment."""

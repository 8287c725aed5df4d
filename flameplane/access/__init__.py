"""Who read which profile: the gateway's audit log, read and verified outside the cluster."""

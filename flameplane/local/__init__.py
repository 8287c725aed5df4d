"""Environment `local` on a real cluster: record the program, apply what it declares with kubectl, wait, report.

Not a second engine: no state file, no provider logic, Kubernetes objects only. What belongs to the platform is what
carries the label of its ApplySet on the API server; everything else in a cluster is left alone.
"""

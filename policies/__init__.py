"""Policy as code: the rules that every change of the platform is judged by. docs/policies.md lists them."""

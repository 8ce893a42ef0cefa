"""The page of torc-bench lab: a server on loopback, runs of the experiments of explain, and what a browser shows."""

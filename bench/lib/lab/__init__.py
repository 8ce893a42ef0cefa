"""Experiments that answer whether web requests are executed in parallel and handled asynchronously:
one claim each, on real servers. explain.py runs them."""

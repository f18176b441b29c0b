"""Requests to servers that may be slow, wrong or hostile (client side)."""

"""What the engines on SEAL share: objects as bytes, keys of both sides, the speed of the machine."""

"""The parts of bench/peers.py, which compares Caudal with other engines on one machine."""

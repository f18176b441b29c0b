"""The circuit: leaves as boxes, slots, diagonals, the zero test and its noise. Pure: no SEAL, no keys."""

"""What a circuit computes, in the clear, for one row of bits."""


def gate_bits(plan, bits):
    """Values of all bits and gates."""
    found = {("bit", index): int(bit) for index, bit in enumerate(bits)}
    for number, table in enumerate(plan.tables):
        if table.is_gate:
            found["gate", number] = _look_up(table, found)
    return found


def scores(plan, bits):
    """Sums of leaves."""
    found, sums = gate_bits(plan, bits), plan.constants.copy()
    for table in plan.tables:
        if not table.is_gate:
            sums[table.column] += _look_up(table, found)
    return sums


def _look_up(table, found):
    return int(table.values[sum(found[source] << k for k, source in enumerate(table.inputs))])

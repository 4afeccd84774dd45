"""What users import; wires the layers below together."""

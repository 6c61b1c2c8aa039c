"""What is on the shelf: kinds of goals, materials, standards, suppliers; JSON beside its models.

Materials and standards name their sources. Prices, lead times and suppliers are made up.
"""

"""The acceptance of a site's cluster: real sessions prove what the values promise, and a report says what was seen."""

"""The one table of tolerances: how far two ways to the same number may lie apart, and why."""

# float64, one operation against central differences: h = 1e-5 leaves h² ~ 1e-10 of truncation and 1e-16 / h ~ 1e-11 of rounding.
GRADIENT_OPERATION = 1e-7
# float64, the whole network: the same errors, passed through eight layers.
GRADIENT_NETWORK = 1e-5
# float64 log space against the sum over every alignment: rounding of a few hundred additions.
CTC_ENUMERATION = 1e-12

"""The table of tolerances: how far two computations of the same number may differ, and why.

Those of `minids check` are in minids/gradcheck.py, because it runs without the tests.
"""

from minids.gradcheck import CTC_ENUMERATION, GRADIENT_NETWORK, GRADIENT_OPERATION

__all__ = ["CTC_ENUMERATION", "GRADIENT_NETWORK", "GRADIENT_OPERATION"]

# 16 bit: half a step of 2^-15 of rounding, and full scale is 32767 of 32768 steps.
PCM16 = 1.6 / 32768
# dB of a tone after resampling: the filter is designed flat to 80 dB below the tone, the rest comes from the
# choice of the middle.
RESAMPLED_LEVEL_DB = 0.02
# A resampled sample of noise of amplitude 0.1: some 70 float32 products, summed in another order.
RESAMPLED_SAMPLE = 1e-6
# dB of a mixture: the powers are float32 sums.
SNR_DB = 0.01
# Log powers: a float32 transform errs by 1e-7 of the loudest bin, which in the quietest ones is 1e-4 of their
# own power.
FLOAT32_LOG = 1e-3
# Sums of a few hundred float32 products.
FLOAT32_SUM = 1e-5
# Log powers of a louder copy: its samples are rounded differently, also near the floor.
SCALE_INVARIANCE = 1e-3
# Float32 states through a few hundred frames of a recurrence that neither amplifies nor damps errors.
FLOAT32_RECURRENCE = 1e-4
# CTC in float32: a loss is a sum of T numbers, relative to itself.
CTC_FLOAT32_LOSS = 1e-5
# Its gradient's entries lie between -1 and 1; some forty frames of additions.
CTC_FLOAT32_GRADIENT = 1e-5
# The same after 3000 frames that contradict their text: posteriors are differences of log-probabilities of up
# to 1e5.
CTC_FLOAT32_LONG = 1e-3
# float64, eight layers and a recurrence of a dozen frames: only the order of additions differs.
FLOAT64_ORDER = 1e-12
# float32, the same: 6e-8 per product, some dozens of units in each layer.
FLOAT32_NETWORK = 2e-5
# Ten steps of training in float32: errors accumulate from step to step.
FLOAT32_TEN_STEPS = 1e-4
# Logarithms of n-grams: float32, the sum of a few numbers of up to ten.
LM_FLOAT32 = 1e-5
# log10 read back from an ARPA file: float32 in both directions, seven decimals in the file.
LM_ARPA = 1e-6
# Probabilities after a history: some dozens of float32 logarithms, and lmplz's own rounding.
LM_SUM = 1e-5
# log10 of a word against KenLM's: float32 sums there, six decimals in our copy of them.
LM_KENLM = 1e-5
# Probabilities of texts in float64, sums of some thousand terms.
PROBABILITY = 1e-12
# Their logarithms, summed in another order by two algorithms.
BEAM_SCORE = 1e-9
# Products on tensor cores: both factors are rounded to 10 bits of mantissa, 5e-4 each; errors have signs.
TF32_SUM = 2e-3
# Log powers kept as float16: numbers up to 20 are off by 2**-7 at most, and are divided by a deviation that
# is 1 or more, except for bins that hardly change.
FLOAT16_FEATURES = 0.02

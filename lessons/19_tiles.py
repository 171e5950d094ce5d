# %% [markdown]
# # 19. How fast can a matrix product be?
# Nearly all the work of Deep Speech is products $y = x W^T$. But an H200 can do 56
# operations in the time in which its memory delivers one number, so the obvious kernel
# waits most of the time. How can the same multiplications need fewer numbers?
#
# *You build* a product in tiles, a counter of bank conflicts, and a product in
# registers. You will see them climb a ladder of five kernels. *You need* lesson 18
# (`pip install greenlet`), and no GPU: the simulator counts what decides about the
# speed.

# %%
import numpy as np

from minids.lesson import check, gpu, scores, show
from minids.lesson.figures.tiles import banks, climb, owners
from minids.lesson.gpu import cuda, empty, float32, run, trace  # noqa: F401
from minids.ops.cuda.ladder import tensor_cores, vector_loads

rng = np.random.default_rng(19)
x, W = rng.normal(size=(64, 16)), rng.normal(size=(64, 16))  # M = N = 64, K = 16
show(
    climb(*scores.ladder_with()), title="Six kernels for a product, and what they cost"
)

# %% [markdown]
# Each bar was counted in the simulator while a kernel ran. Five of them are in
# `minids/ops/cuda/ladder.py`, from the simplest to the best, and the last is the one
# with which the package trains. Yours will take their places in this picture.
#
# - **Far reads per element**: numbers read from global memory for each element of y.
# - **Wavefronts per multiplication**: how often shared memory must answer, see below.
# - **Multiplications per instruction**, of those that read or multiply. A
#   multiplication with its addition is one instruction, an **FMA** (fused
#   multiply-add). So this *share of FMAs* is at most 1, unless one instruction does
#   more: tensor cores.
#
# ## One thread, one element
# The simplest kernel. Its thread reads a row of x and a row of W from global memory,
# $2K$ numbers for $K$ multiplications, so 32 far reads per element here, and one FMA in
# three instructions:


# %%
@cuda.jit
def naive(x, W, y):
    j, i = cuda.grid(2)  # adjacent threads write adjacent columns j
    total = np.float32(0)
    for k in range(x.shape[1]):
        total += x[i, k] * W[j, k]
    y[i, j] = total


y = run(naive, (4, 4), (16, 16), x, W, empty(64, 64))[-1]
print(f"the largest difference from NumPy's product: {abs(y - x @ W.T).max():.0e}")

# %% [markdown]
# ## Tiles
# The thread's neighbors need the *same* rows. So let a block of 16 x 16 threads compute
# a tile of y, and read what it needs once, in steps of 16 along k:
#
# 1. Each thread loads one number of x and one of W into shared arrays `a` and `b`,
#    `cuda.shared.array((TILE, TILE), float32)`; barrier.
# 2. Each thread multiplies its row of `a` and its row of `b` and adds to its sum;
#    barrier. Then the next 16 steps along k.
#
# Now a number that was read serves 16 threads: $2K/16$ far reads per element. What lies
# outside the matrices is 0 in the shared arrays. **All threads must reach all
# barriers**, also those without an element of y.
#
# **Exercise 19.1** The product in tiles, for matrices of any size.

# %%
TILE, ZERO = 16, np.float32(0)


def tiled(x, W, y):
    """y (M, N) = x (M, K) Wᵀ, W (N, K); TILE x TILE threads (j, i).  About 18 lines."""
    raise NotImplementedError


tiled = check("19.1", tiled)

# %%
show(climb(*scores.ladder_with(tiled)), title="The first step up: tiles")

# %% [markdown]
# Far reads: 16 times fewer. But all numbers are now read from *shared* memory, two for
# each multiplication. Which brings us to its structure.
#
# ## Banks
# Shared memory consists of 32 **banks**; word $w$ (four bytes) lies in bank $w \bmod
# 32$. In one cycle each bank delivers one word, to all threads of the warp that want
# it. If threads want *different* words of one bank, the answer takes several cycles: a
# **bank conflict**. The number of cycles, the **wavefronts** of an access, is the
# number of different words in the fullest bank.
#
# **Exercise 19.2** Count the wavefronts of one access of a warp.


# %%
def wavefronts(words):
    """The wavefronts of an access of these words, one per thread.  About 3 lines."""
    raise NotImplementedError


wavefronts = check("19.2", wavefronts)

# %% [markdown]
# A warp is two rows of 16 threads (j = 0 … 15, twice). In step k they read `a[i, k]`,
# two different words, and `b[j, k]`: a *column* of `b`, 16 words, 16 apart. Where do
# they lie? And what if each row of `b` had 17 numbers, one of them unused?

# %%
columns = {pitch: [j * pitch for j in range(16)] for pitch in (16, 17)}
show(
    [
        banks(words, f"rows of {pitch}, wavefronts: {wavefronts(words)}")
        for pitch, words in columns.items()
    ],
    captions=[
        "b[j, 0] for 16 threads: two banks have eight words each, 30 have none.",
        "One number of padding in each row: 16 words in 16 banks, one wavefront.",
    ],
    title="A column of shared memory, in 32 banks",
)

# %% [markdown]
# If the ladder above says about 9 wavefronts per multiplication for your kernel, change
# one line, `cuda.shared.array((TILE, TILE + 1), float32)` for the array that is read by
# columns, and run the lesson again. With 2.2 wavefronts it was good already.
#
# ## Registers
# One FMA still costs two reads. To read less, a thread must *use each number several
# times*. So let it compute not one element of y but 8 x 8. It then reads 8 numbers of
# `a` and 8 of `b` into **registers**, its own memory, which costs nothing to read, and
# multiplies all 64 pairs: 64 FMAs for 16 reads.
#
# A block of 8 x 8 threads owns a tile of 64 x 64, in steps of 8 along k.
# `cuda.local.array(8, float32)` and `cuda.local.array((8, 8), float32)` are registers
# if all their indices come from loops of fixed length, which the compiler unrolls.
#
# 1. Load: 64 rows of x and of W with 8 numbers each are 512 numbers, 8 for each thread.
#    Store them with k first, `a[k, row]`, so that adjacent threads read adjacent words.
#    (`PITCH` is 68 for the same reason as 17 above.) Barrier.
# 2. For each of the 8 steps k: eight numbers of `a` and eight of `b` into registers,
#    then `part[i, j] += ra[i] * rb[j]`. Barrier.
#
# Which 8 rows belong to thread (tx, ty)? You may take 8 ty … 8 ty + 7. But rows `ty + 8
# n` and columns `tx + 8 n` have fewer bank conflicts: adjacent threads read adjacent
# words `b[k, tx + 8 n]`.
#
# **Exercise 19.3** The product in registers. All sizes are multiples of the tile, so
# there are no guards.

# %%
SIDE, DEPTH, PITCH = 64, 8, 68


def register_blocked(x, W, y):
    """y = x Wᵀ with 8 x 8 threads (tx, ty) per tile of SIDE x SIDE.  About 24 lines."""
    raise NotImplementedError


register_blocked = check("19.3", register_blocked)

# %%
climbed = scores.ladder_with(tiled, register_blocked)
show(climb(*climbed), title="The second step up: registers")

# %% [markdown]
# ## Four at a time
# Of five instructions, four multiply. What remains are the reads, one number each. A
# thread can read 16 bytes, four adjacent numbers, in one instruction. Then a thread
# owns two groups of four adjacent rows, half a tile apart. Here is the kernel of the
# package's ladder, in which `load4(a, i)` reads `a[i]` … `a[i + 3]` of a flat array:

# %%
print(gpu.source(vector_loads))

# %% [markdown]
# It has 15 multiplications in 16 instructions. As many wavefronts as before: the same
# words come from the banks, only with fewer requests.
#
# ## Tensor cores
# Each multiprocessor also has **tensor cores**: circuits that multiply two small
# matrices. One instruction of a warp, `mma.sync`, computes $C + A B$ with A (16, 8), B
# (8, 8) and C (16, 8): 1024 multiplications, 32 for each thread. The matrices are
# spread over the registers of the 32 threads in a fixed way, and the factors are
# rounded to **TF32**, 10 bits of mantissa instead of 23.
#
# Numba has no function for this. The package writes the instruction as inline assembly
# (`minids/ops/cuda/tensor_core.py`), and the simulator imitates it, rounding included.
# Here is who owns which elements of a tile of y, seen from the first four threads:

# %%
maps = {}
for kernel in register_blocked, vector_loads, tensor_cores:
    with trace() as accesses:
        *_, y = run(kernel, *scores.product_launch(kernel, x, W))
    maps[kernel.__name__] = [access for access in accesses if access.array == "y"]
    print(f"{kernel.__name__}: largest error {abs(y - x @ W.T).max():.1e}")
show(owners(maps, 64), title="The elements of y of threads 0 (blue), 1, 2 and 3")

# %% [markdown]
# So far the simulator has counted. It knows nothing of addresses and loops. The
# compiler does, and Numba's runs without a GPU. How many of *all* instructions in the
# innermost loop multiply (in PTX, NVIDIA's assembly language)?

# %%
loops = scores.compiled_ladder()
for kernel, loop in loops.items():
    share = (loop["fma"] + loop["mma"]) / loop["instructions"]
    counts = f"{loop['fma']:2} FMAs and {loop['mma']} mma"
    print(f"{kernel:17}{counts} in {loop['instructions']:3} instructions: {share:.0%}")
if not loops:
    print("The compiler is not installed here: pip install 'minids[cuda]'")

# %% [markdown]
# Much of the rest computes addresses: Numba checks for each index whether it is
# negative, as Python's may be, but `load4` does not. Each mma of the last kernel does
# as much as 32 FMAs. These are counts, **not times**: none of the kernels was timed on
# a GPU.
#
# ## Now read the real one
# `minids/ops/cuda/gemm_tile.py` is the fourth kernel of the ladder, and the fifth for
# `gemm = "tf32"`. Three ideas are new:
#
# - **Asynchronous copies**: from Ampere on, `copy_async` only *starts* a copy from
#   global to shared memory. While one slice is multiplied, two more are on their way.
#   Three slices take turns, so one barrier per slice is enough.
# - A slice has 16 k, all written out: 1024 FMAs per thread, 87 % of the instructions of
#   its loop. `vector_loads` has 70 %: 512 of 8 inner loops of 82 and 74 around them.
#   (`python -m benchmarks.gpu_cost "fp32 128 vectorized layer"` counts them.)
# - No padding: `_in_columns` and `_in_rows` permute groups of four numbers in a line,
#   so that those which are read together lie in different banks.
#
# The rest you know. `tile(shape, …)` is a function that *makes* kernels, for tiles of
# 128 x 128 and 64 x 64; its upper-case names are constants. `copy` is your line `a[k,
# row] = x[…]`, and `valid` its guard: any size is allowed. `k_last`: x and W have k
# last; in the backward pass (lesson 3) $dz\,W$ and $dz^T x$ have it first. `part`,
# `row_of` and `column_of` are the map in the picture above, with which `layer_tile` in
# `minids/ops/cuda/matmul.py` adds the bias and clips (18.1) while y is in registers.

# %% [markdown]
# **What we have now**: a product that multiplies most of the time, and three numbers
# that say so without a GPU.
#
# **Next question**: all elements of a product are independent. But a recurrence needs
# its own past!

# %% [markdown]
# # 13. What does one GPU thread do?
# A GPU runs one small function, a **kernel**, in ten thousand threads at once. The threads differ
# only in their numbers. What must each of them do, so that together they compute a layer?
#
# *You build* three kernels: a bias, a column sum, a matrix product in tiles. *You need* lesson 3,
# but no GPU: kernels run as plain Python in a simulator (`pip install greenlet`), step by step.

# %%
import numpy as np

from minids import ops
from minids.lesson import exercise, gpu, show
from minids.lesson.figures.threads import caption, exchange, memory, moments, reads
from minids.lesson.gpu import KernelError, backend, cuda, empty, float32, run, trace  # noqa: F401
from minids.ops.cuda.birnn import add
from minids.ops.cuda.context import gather

a, b = np.arange(6.0), np.array([0.5, 0, -1, 7, 2, 10])
with trace() as accesses:
    *_, out = run(add, 2, 4, a, b, empty(6))  # 2 blocks of 4 threads each, for 6 numbers
show(
    [exchange(accesses, {"a": a, "b": b, "out": out}, 4, 2, upto=n) for n in range(3)],
    captions=[caption(moment) for moment in moments(accesses)],
    title="Eight threads add six numbers",
)

# %% [markdown]
# These arrows were recorded while a kernel of the package ran. It adds two arrays without a loop:
# every thread adds one pair. Threads form **blocks** of equal size, and a thread's element is
#
# $$i = \text{block} \cdot \text{threads per block} + \text{thread}$$
#
# Six is not a multiple of four, so two threads have nothing to do. An `if` tells them so, the
# **guard**. Here is a kernel for $y = \min\{\max\{0, z\}, 20\}$, with and without one. Without it a
# GPU silently overwrites what is in memory after the array; the simulator raises an error.
# (`run(kernel, blocks, threads, …)` runs a kernel on copies; `empty` makes an array to be filled.)

# %%
ZERO, CLIP = np.float32(0), np.float32(20)


@cuda.jit
def clip(z, y):
    i = cuda.grid(1)  # blockIdx.x * blockDim.x + threadIdx.x
    if i < y.size:
        y[i] = min(max(z[i], ZERO), CLIP)


@cuda.jit
def without_guard(z, y):
    y[cuda.grid(1)] = min(max(z[cuda.grid(1)], ZERO), CLIP)


try:
    for kernel in clip, without_guard:
        print(run(kernel, 2, 4, np.array([-3, 5, 0.5, 21, 20, -1]), empty(6))[1])
except KernelError as error:
    print(f"{type(error).__name__}: {error}; {error.__notes__[0]}")

# %% [markdown]
# ## Two dimensions
# Blocks and threads can have two dimensions. Then `cuda.grid(2)` is a pair of numbers, and both
# need a guard. Now it is your turn: the bias and the clip of a layer, in one kernel.
#
# $$y_{r,h} = g(z_{r,h} + b_h)$$
#
# The checker runs the threads forward, in reverse and at random, and counts those that work.


# %%
def check_bias():
    for rows, H in (1, 4), (4, 6), (7, 3):
        z, b = np.random.default_rng(H).normal(5, 20, (rows, H)), np.arange(float(H))
        launch = (-(-H // 4), -(-rows // 4)), (4, 4), z, b, empty(rows, H)  # rounded up; x along H
        got, expected = gpu.run_in_every_order(bias, *launch), np.clip(z + b, 0, 20)
        yield f"z {z.shape}, blocks {launch[0]} of (4, 4)", got, [expected] * 3
        yield "threads that write to y", gpu.active_threads("y", bias, *launch), z.size


@exercise("13.1", check_bias, rtol=1e-5, pure=False)
def bias(z, b, y):
    """z, y (rows, H), b (H,); threads (h, r).  About 3 lines; `run` adds @cuda.jit."""
    raise NotImplementedError


# %% [markdown]
# ## Together
# The gradient of a bias is a sum over rows. If all threads add to one number, two of them may read
# it, both add, both write, and one addition is lost: a **race**. Besides, a kernel's arguments are
# in **global memory**, large and slow. The solution is small and fast memory that the threads of
# a block *share*, and a **barrier**, `cuda.syncthreads()`, where they wait for each other.
#
# 1. `partial = cuda.shared.array(THREADS, float32)` is one array for all threads of a block.
# 2. Thread $i$ adds up rows $i$, $i + 8$, … in a variable of its own. No number is read twice.
# 3. It writes its sum to its element of the shared array; then comes the barrier.
# 4. Thread 0 adds up the eight sums.

# %%
THREADS = 8


def check_column_sum():
    for rows, H in (8, 1), (19, 3), (5, 2):
        x = np.random.default_rng(rows).integers(-9, 9, (rows, H)).astype(float)
        launch = column_sum, H, THREADS, x, empty(H)
        yield f"x {x.shape}", gpu.run_in_every_order(*launch), [x.sum(axis=0)] * 3
        yield "reads of global memory", gpu.global_reads(*launch), x.size
        busy, needed = gpu.active_threads("x", *launch), H * -(-rows // -(-rows // THREADS))
        yield f"threads that read x, up to {needed}", min(busy, needed), needed


@exercise("13.2", check_column_sum, rtol=1e-5, pure=False)
def column_sum(x, sums):
    """sums[h] = Σ_r x[r, h]; x (rows, H), H blocks of THREADS threads each.  About 10 lines."""
    raise NotImplementedError


# %%
x = np.arange(16.0)[:, None]
with trace() as accesses:
    _, sums = run(column_sum, 1, THREADS, x, empty(1))
arrays, steps = {"x": x, "partial": empty(THREADS), "sums": sums}, moments(accesses)
shown = [*range(min(4, len(steps))), len(steps) - 1]  # thread 0's reads are much alike
show(
    [exchange(accesses, arrays, THREADS, 1, upto=n) for n in shown],
    captions=[caption(steps[n]) for n in shown],
    title="Eight threads add up a column; cells of shared memory show who wrote them",
)

# %% [markdown]
# ## Neighbors
# Is it fast? Memory is read in **sectors** of 32 bytes, eight float32, and the 32 threads of a
# **warp** read at the same time. If adjacent threads read adjacent elements, they share sectors:
# the access is *coalesced*. Compare `gather`, which copies the frames around a frame (lesson 2):

# %%
copied = gather, 8, 32, np.ones((8, 1, 32)), np.array([8]), 1, 1, empty(8, 1, 96)
summed, pictures = (column_sum, 32, 8, np.ones((8, 32)), empty(32)), []
for launched, array in (copied, "frames"), (summed, "x"):
    with trace() as accesses:
        run(*launched)
    pictures.append(memory(accesses, array, launched[3].shape, launched[0].__name__))
show(
    pictures,
    captions=[
        "32 threads read one frame: four sectors, and every byte of them is used.",
        "8 threads read eight different rows: eight sectors, and 7 of 8 bytes are wasted.",
    ],
    title="What one access of a warp costs",
)

# %% [markdown]
# So in the package (`gate` in `minids/ops/cuda/affine.py`) a block adds up 32 columns at once, and
# adjacent threads read adjacent columns.
#
# ## The product
# In $y = x W^T$ let each thread compute one element. The thread of $y_{ij}$ reads row $i$ of $x$
# and row $j$ of $W$: $2K$ numbers from global memory for $K$ multiplications. Its neighbors
# need the *same* rows. So let a block of 4 x 4 threads load them once:
#
# 1. Each thread loads one number of $x$ and one of $W$ into two shared **tiles**,
#    `cuda.shared.array((TILE, TILE), float32)`, which cover 4 steps along $k$; barrier.
# 2. Each multiplies its rows of the two tiles; barrier; then the next 4 steps.
#
# This takes $2K/4$ global reads per element of $y$, not $2K$. Outside the matrices a tile is 0.
# **All threads must reach all barriers**, including those without an element of $y$.

# %%
TILE = 4


def check_tiled():
    for M, N, K in (4, 4, 4), (5, 3, 6), (2, 9, 4):
        rng = np.random.default_rng(M)
        x, W = rng.normal(size=(M, K)), rng.normal(size=(N, K))
        blocks = -(-M // TILE), -(-N // TILE)
        launch = tiled, blocks, (TILE, TILE), x, W, empty(M, N)
        yield f"x {x.shape}, W {W.shape}", gpu.run_in_every_order(*launch), [x @ W.T] * 3
        yield "reads of global memory", gpu.global_reads(*launch), K * (M * blocks[1] + N * blocks[0])


@exercise("13.3", check_tiled, rtol=1e-4, atol=1e-5, pure=False)
def tiled(x, W, y):
    """y (M, N) = x (M, K) Wᵀ, W (N, K); blocks of TILE x TILE threads (i, j).  About 15 lines."""
    raise NotImplementedError


# %%
@cuda.jit
def untiled(x, W, y):
    i, j = cuda.grid(2)
    total = ZERO
    for k in range(x.shape[1]):
        total += x[i, k] * W[j, k]
    y[i, j] = total


x, W, panels = np.ones((8, 6)), np.ones((8, 6)), {}
for name, kernel in ("each thread alone", untiled), ("tiles of 4 x 4", tiled):
    with trace() as panels[name]:
        run(kernel, (2, 2), (TILE, TILE), x, W, empty(8, 8))
show(reads(panels, {"x": x.shape, "W": W.shape}), title="How often each number is read from global memory")

# %% [markdown]
# Your product and your bias, one after the other, are a layer of the network:

# %%
rng = np.random.default_rng(13)
x, W, b = rng.normal(0, 3, (6, 9)), rng.normal(size=(10, 9)), rng.normal(size=10)
z = run(tiled, (2, 3), (TILE, TILE), x, W, empty(6, 10))[-1]
y = run(bias, (3, 2), (4, 4), z, b, empty(6, 10))[-1]
layer = ops.load("reference").affine_forward(x[:, None], W, b, clip=True)[:, 0]
print("equal to the reference:", np.allclose(y, layer, atol=1e-4))

# %% [markdown]
# The package's product (`minids/ops/cuda/gemm_tile.py`) has tiles of 128 x 128 (in the simulator
# 16 x 16), and each thread keeps 8 x 8 elements of $y$ in registers. The same source is compiled for
# several tile sizes and layouts; upper-case names are compile-time constants. Its global reads,
# counted in the same way:

# %%
x, W, b = np.ones((64, 1, 64), np.float32), np.ones((64, 64), np.float32), np.zeros(64, np.float32)
with trace() as accesses:
    y = backend.affine_forward(*map(backend.arrays.from_host, (x, W, b)))
far = sum(a.kind == "read" and a.array in ("x", "W") for a in accesses)
print(f"{far} reads for {y.size} elements with K = 64: {far / y.size:.1f} per element instead of 128")

# %% [markdown]
# **What we have now**: guards, coalesced access, and blocks whose threads share numbers.
#
# **Next question**: the elements of a layer are independent. But a recurrence needs its own past!

# %% [markdown]
# # 13. What does one GPU thread do?
# A GPU runs one small function, a **kernel**, in ten thousand threads at once. No thread
# knows more than its own number. What can each do, so that together they make a layer?
#
# *You build* three kernels: a bias, a column's sum, a product in tiles. *You need* lesson 3.
# No GPU: here kernels run as plain Python, in a simulator that you can step through
# (`minids.cuda_simulator`). It needs one small package: `pip install greenlet`.

# %%
import numpy as np

from minids.lesson import exercise, gpu, show
from minids.lesson.figures.threads import caption, exchange, memory, moments, reads
from minids.lesson.gpu import KernelError, cuda, float32, grid, room, run, traced  # noqa: F401
from minids.ops.cuda.birnn import add
from minids.ops.cuda.context import gather

a, b = np.arange(6.0), np.array([0.5, 0, -1, 7, 2, 10])
with traced() as accesses:
    *_, out = run(add, 2, 4, a, b, room(6))  # 2 blocks of 4 threads each, for 6 numbers
show(
    [exchange(accesses, {"a": a, "b": b, "out": out}, 4, 2, upto=n) for n in range(3)],
    captions=[caption(moment) for moment in moments(accesses)],
    title="Eight threads add six numbers",
)

# %% [markdown]
# Nobody drew these arrows: they are recorded from a kernel of the package while it ran. It
# adds two arrays without a loop: the loop is the crowd. Threads come in **blocks**, all of one
# size, and a thread finds its element by
#
# $$i = \text{block} \cdot \text{threads in a block} + \text{thread}$$
#
# Six is no multiple of four, so two threads find nothing to do. A kernel that clips,
# $y = \min\{\max\{0, z\}, 20\}$, shows how they know: the `if` is their **guard**. A GPU does
# not miss it: it writes over what lies behind the array, and says nothing. The simulator does.
# (`@cuda.jit` makes a kernel, `run(kernel, blocks, threads, …)` starts it; `room` is to be filled.)

# %%
ZERO, CLIP = np.float32(0), np.float32(20)


@cuda.jit
def clip(z, y):
    i = cuda.grid(1)  # blockIdx.x * blockDim.x + threadIdx.x
    if i < y.size:
        y[i] = min(max(z[i], ZERO), CLIP)


@cuda.jit
def careless(z, y):
    y[cuda.grid(1)] = min(max(z[cuda.grid(1)], ZERO), CLIP)


try:
    for kernel in clip, careless:
        print(run(kernel, 2, 4, np.array([-3, 5, 0.5, 21, 20, -1]), room(6))[1])
except KernelError as error:
    print(f"{type(error).__name__}: {error}; {error.__notes__[0]}")

# %% [markdown]
# ## Two dimensions
# Blocks and threads may be counted in x and y. Then `cuda.grid(2)` is the pair of a thread's
# numbers, and both want a guard. Your turn: a layer's bias and clip, in one go.
#
# $$y_{r,h} = g(z_{r,h} + b_h)$$
#
# The checker runs the threads forward, in reverse and at random, and looks who is at work.


# %%
def check_bias():
    for rows, H in (1, 4), (4, 6), (7, 3):
        z, b = np.random.default_rng(H).normal(5, 20, (rows, H)), np.arange(float(H))
        start = (-(-H // 4), -(-rows // 4)), (4, 4), z, b, room(rows, H)  # rounded up; x along H
        got, truth = gpu.in_any_order(bias, *start), np.clip(z + b, 0, 20)
        yield f"z {z.shape}, blocks {start[0]} of (4, 4)", got, [truth] * 3
        yield "threads at work", gpu.at_work("y", bias, *start), z.size


@exercise(
    "13.1",
    check_bias,
    pure=False,
    rtol=1e-5,
    hints=[
        "h, r = cuda.grid(2): x, the first number, goes along H.",
        "One `if` guards both: h < y.shape[1] and r < y.shape[0].",
        "y[r, h] = min(max(z[r, h] + b[h], ZERO), CLIP)",
    ],
)
def bias(z, b, y):
    """z, y (rows, H), b (H,); threads (h, r).  About 3 lines; `run` adds @cuda.jit."""
    raise NotImplementedError


# %% [markdown]
# ## Together
# A bias moves the loss through every row, so its gradient is a sum over rows. Threads that all
# add to one number get in each other's way: two read it, both add, both write, and
# one sum is lost. That is a **race**. And the arrays that a kernel is given lie *far* from the
# threads, in large and slow memory. The way out is small and near memory that a block
# *shares*, and a **barrier**, `cuda.syncthreads()`: nobody goes on before all have come.
#
# 1. `partial = cuda.shared.array(THREADS, float32)`: one for all threads of the block;
# 2. thread $i$ adds up rows $i$, $i + 8$, … in a variable of its own: no number is read twice;
# 3. writes that into its place of the shared array; barrier;
# 4. thread 0 adds up the eight places.

# %%
THREADS = 8


def check_column_sum():
    for rows, H in (8, 1), (19, 3), (5, 2):
        x = np.random.default_rng(rows).integers(-9, 9, (rows, H)).astype(float)
        start = column_sum, H, THREADS, x, room(H)
        yield f"x {x.shape}", gpu.in_any_order(*start), [x.sum(axis=0)] * 3
        yield "far reads", gpu.far_reads(*start), x.size
        yield "threads at work", gpu.at_work("x", *start), H * min(rows, THREADS)


@exercise(
    "13.2",
    check_column_sum,
    pure=False,
    rtol=1e-5,
    hints=[
        "h, i = cuda.blockIdx.x, cuda.threadIdx.x; a block owns a column.",
        "mine = ZERO; for r in range(i, x.shape[0], THREADS): mine += x[r, h]",
        "partial[i] = mine; cuda.syncthreads(); if i == 0: mine += partial[1] …; total[h] = mine",
    ],
)
def column_sum(x, total):
    """total[h] = Σ_r x[r, h]; x (rows, H), H blocks of THREADS threads each.  About 10 lines."""
    raise NotImplementedError


# %%
x = np.arange(16.0)[:, None]
with traced() as accesses:
    _, total = run(column_sum, 1, THREADS, x, room(1))
arrays = {"x": x, "partial": room(THREADS), "total": total}
show(
    [exchange(accesses, arrays, THREADS, 1, upto=n) for n in range(len(moments(accesses)))],
    captions=[caption(moment) for moment in moments(accesses)],
    title="Eight threads add up a column; what is shared shows who wrote it",
)

# %% [markdown]
# ## Neighbors
# The sum is right; is it quick? Memory does not come in numbers: it comes in pieces of
# 32 bytes, eight float32. The 32 threads of a **warp** ask at the same instant. If neighbors
# ask for neighbors, they share pieces: the access is *coalesced*. Beside your kernel here is one of
# the package's, `gather`, which copies the frames around a frame side by side (lesson 2):

# %%
copied = gather, 8, 32, np.ones((8, 1, 32)), np.array([8]), 1, 1, room(8, 1, 96)
summed, pictures = (column_sum, 32, 8, np.ones((8, 32)), room(32)), []
for launched in copied, summed:
    with traced() as accesses:
        run(*launched)
    far = [a for a in accesses if a.array in ("frames", "x") and a.kind == "read"]
    first = [a for a in moments(far)[0] if a.block == far[0].block]
    pictures.append(memory(first, launched[3].shape, launched[0].__name__))
show(
    pictures,
    captions=[
        "32 threads want one frame: four pieces of memory, every byte of them is used.",
        "Each of 8 threads wants another row: eight pieces, 7 of 8 bytes are for nothing.",
    ],
    title="One moment of a warp, seen by memory",
)

# %% [markdown]
# So the package's sum (`gate` in `minids/ops/cuda/affine.py`) gives a block 32 columns:
# neighboring threads read neighboring columns, and 32 sums end at once.
#
# ## The product
# $y = x W^T$, a thread an element, each going along $k$: the thread of $y_{ij}$ reads row $i$
# of $x$ and row $j$ of $W$, $2K$ numbers from far memory for $K$ multiplications. Its
# neighbors need the *same* rows. So let a block of 4 x 4 threads fetch them once:
#
# 1. each brings one number of $x$ and one of $W$ into two shared **tiles**
#    `cuda.shared.array((TILE, TILE), float32)`, 4 steps along $k$; barrier;
# 2. each multiplies its rows of the tiles; barrier; and on along $k$.
#
# Far reads per element of $y$: $2K/4$ instead of $2K$. Outside the matrices a tile holds 0,
# and **all threads reach all barriers**, those without an element of $y$ too.

# %%
TILE = 4


def check_tiled():
    for M, N, K in (4, 4, 4), (5, 3, 6), (2, 9, 4):
        rng = np.random.default_rng(M)
        x, W = rng.normal(size=(M, K)), rng.normal(size=(N, K))
        blocks = -(-M // TILE), -(-N // TILE)
        start = tiled, blocks, (TILE, TILE), x, W, room(M, N)
        yield f"x {x.shape}, W {W.shape}", gpu.in_any_order(*start), [x @ W.T] * 3
        yield "far reads", gpu.far_reads(*start), K * (M * blocks[1] + N * blocks[0])


@exercise(
    "13.3",
    check_tiled,
    pure=False,
    rtol=1e-4,
    atol=1e-5,
    hints=[
        "For k0 in range(0, K, TILE): a[ti, tj] = x[i, k0 + tj] if both are inside, else ZERO.",
        "b[ti, tj] = W[first + ti, k0 + tj], with first = cuda.blockIdx.y * TILE; guarded, too.",
        "Barrier; for k in range(TILE): total += a[ti, k] * b[tj, k]; barrier. At the end, guarded, y[i, j].",
    ],
)
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
for name, kernel in ("a thread on its own", untiled), ("tiles of 4 x 4", tiled):
    with traced() as panels[name]:
        run(kernel, (2, 2), (TILE, TILE), x, W, room(8, 8))
show(reads(panels, {"x": x.shape, "W": W.shape}), title="How often each number comes from far memory")

# %% [markdown]
# The package's product (`minids/ops/cuda/gemm_tile.py`) goes on this way: tiles of 128 x 128 (in the
# simulator 16 x 16), and each thread keeps 8 x 8 numbers of $y$ to itself. The same count for it:

# %%
x, W, b = np.ones((64, 1, 64), np.float32), np.ones((64, 64), np.float32), np.zeros(64, np.float32)
with traced() as accesses:
    y = grid.affine_forward(*map(grid.arrays.from_host, (x, W, b)))
far = sum(a.kind == "read" and a.array in ("x", "W") for a in accesses)
print(f"{far} reads for {y.size} elements of K = 64: {far / y.size:.1f} each, instead of 128")

# %% [markdown]
# **What we have now**: guards, neighbors that share pieces of memory, blocks that share numbers.
#
# **Next question**: a layer is one crowd, but a recurrence waits for its own past. What then?

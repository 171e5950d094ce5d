# %% [markdown]
# # 18. What does one GPU thread do?
# A CPU runs a few programs fast. A GPU runs one small function, a **kernel**, in tens
# of thousands of **threads** at once, each of which is slow. They differ only in their
# numbers. What must each thread do, so that together they compute a layer?
#
# *You build* three kernels: a bias, a sum over a column, and many such sums at the
# speed of the memory. *You need* lesson 3, but no GPU: kernels run as plain Python in a
# simulator (`pip install greenlet`). A kernel that is right here runs unchanged on a
# GPU.

# %%
import numpy as np

from minids.lesson import check, gpu, show
from minids.lesson.figures.threads import caption, exchange, memory, moments
from minids.lesson.gpu import cuda, empty, float32, run, trace  # noqa: F401
from minids.ops.cuda.birnn import add

a, b = np.arange(6.0), np.array([0.5, 0, -1, 7, 2, 10])
with trace() as accesses:
    *_, out = run(add, 2, 4, a, b, empty(6))  # 2 blocks of 4 threads each
arrays = {"a": a, "b": b, "out": out}
show(
    [exchange(accesses, arrays, 4, 2, upto=n) for n in range(3)],
    captions=[caption(moment) for moment in moments(accesses)],
    title="Eight threads add six numbers",
)

# %% [markdown]
# These arrows were recorded while a kernel of the package ran. It adds two arrays
# without a loop: every thread adds one pair. Threads come in **blocks** of equal size,
# all blocks together are the **grid**, and a thread's element is
#
# $$i = \text{block} \cdot \text{threads per block} + \text{thread}$$
#
# Six is not a multiple of four, so two threads have nothing to do. An `if` tells them
# so, the **guard**. Here is a kernel for $y = \min\{\max\{0, z\}, 20\}$, with and
# without it. `run(kernel, blocks, threads, …)` runs a kernel on copies of its arguments
# and returns them. `empty` makes an array to be filled.

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


for kernel in clip, without_guard:
    gpu.report(kernel, 2, 4, np.array([-3, 5, 0.5, 21, 20, -1]), empty(6))

# %% [markdown]
# Without the guard a GPU silently overwrites what lies in memory behind the array. The
# simulator raises an error, which names the array, the element and the thread.
#
# ## Two dimensions
# Blocks and threads can have two dimensions, x and y. Then `cuda.grid(2)` is a pair of
# numbers, x first, and both need a guard.
#
# **Exercise 18.1** The bias and the clip of a layer in one kernel, one thread for each
# element: $y_{r,h} = g(z_{r,h} + b_h)$. The x of a thread is h, its y is r.
#
# The check runs the threads in order, in reverse and at random: on a GPU any order can
# happen. It also counts the threads that work.


# %%
def bias(z, b, y):
    """z, y (rows, H), b (H,); `check` adds @cuda.jit.  About 3 lines."""
    raise NotImplementedError


bias = check("18.1", bias)

# %% [markdown]
# ## Together
# The gradient of a bias is a sum over rows, so many threads must add to one number. To
# add, a thread reads the number, adds, and writes it back. If two threads read it
# before either writes, one addition is lost. This is a **race**:


# %%
@cuda.jit
def racing_sum(x, sums):
    sums[0] += x[cuda.grid(1)]


@cuda.jit
def waiting_for_nobody(x, sums):
    if cuda.threadIdx.x == 0:
        cuda.syncthreads()
    sums[cuda.grid(1)] = x[cuda.grid(1)]


gpu.report(racing_sum, 1, 4, np.ones(4), np.zeros(1))
gpu.report(waiting_for_nobody, 1, 4, np.ones(4), empty(4))

# %% [markdown]
# On a GPU the first kernel gives 1, 2, 3 or 4, and another number the next time. What
# orders threads is a **barrier**, `cuda.syncthreads()`: each thread of a block waits
# there until *all* have arrived. Hence the second report: one thread waits, the others
# never come. A GPU would hang, or go on with wrong numbers.
#
# The second tool is **shared memory**. A kernel's arguments lie in **global memory**:
# large, but a read takes hundreds of cycles. Each block also has a small memory, about
# 200 KB, that its threads share and that answers in about 30 cycles. With both:
#
# 1. `partial = cuda.shared.array(THREADS, float32)` is one array for a whole block.
# 2. Each thread adds up its part of the rows in a variable of its own. No number is
#    read twice. (Which rows are its part? You decide.)
# 3. It writes its sum to its element of `partial`. Then comes a barrier.
# 4. Thread 0 adds up the eight sums, and writes the result.
#
# **Exercise 18.2** The sum of each column of x, with one block per column.
#
# The check also counts **far reads**: how many numbers all threads together read from
# global memory. As each number is needed once, as many far reads as numbers are enough.

# %%
THREADS = 8


def column_sum(x, sums):
    """sums[h] = Σ_r x[r, h]; H blocks of THREADS threads.  About 10 lines."""
    raise NotImplementedError


column_sum = check("18.2", column_sum)

# %%
x = np.arange(16.0)[:, None]
with trace() as accesses:
    _, sums = run(column_sum, 1, THREADS, x, empty(1))
arrays, steps = {"x": x, "partial": empty(THREADS), "sums": sums}, moments(accesses)
shown = sorted({0, min(2, len(steps) - 1), min(3, len(steps) - 1), len(steps) - 1})
show(
    [exchange(accesses, arrays, THREADS, 1, upto=n) for n in shown],
    captions=[caption(steps[n]) for n in shown],
    title="Eight threads add up a column; cells of shared memory show who wrote them",
)

# %% [markdown]
# ## Neighbors
# Is it fast? Global memory is transferred in **sectors** of 32 bytes, that is, of eight
# float32. And the GPU starts threads 32 at a time: such a group, a **warp**, executes
# the same instruction at the same moment. If adjacent threads read adjacent elements,
# they share sectors: the access is **coalesced**. Compare your kernel with one that
# copies a row:


# %%
@cuda.jit
def copy_row(x, y):
    y[cuda.grid(1)] = x[0, cuda.grid(1)]


x, pictures = np.ones((8, 32)), []
copied = copy_row, 1, 32, x, empty(32)
summed = column_sum, 32, THREADS, x, empty(32)
for launched in copied, summed:
    with trace() as accesses:
        run(*launched)
    pictures.append(memory(accesses, "x", x.shape, launched[0].__name__))
show(
    pictures,
    captions=[
        "32 threads read one row: four sectors, and every byte of them is used.",
        "8 threads read eight different rows: 8 sectors, 7 of 8 bytes are wasted.",
    ],
    title="What one access of a warp costs",
)

# %% [markdown]
# Rows are contiguous in memory, columns are not. So let a block add up eight columns at
# once, with 8 x 8 threads: those with the same y read eight adjacent elements of a row,
# one sector. Now `partial` has two dimensions, `cuda.shared.array((8, 8), float32)`,
# and eight threads finish eight sums.
#
# **Exercise 18.3** The sums of all columns, eight columns for each block. The number of
# columns may not be a multiple of eight, but all threads must reach the barrier.


# %%
def column_sums(x, sums):
    """As column_sum, with ⌈H/8⌉ blocks of 8 x 8 threads.  About 12 lines."""
    raise NotImplementedError


column_sums = check("18.3", column_sums)

# %%
one = gpu.cost(column_sum, 32, THREADS, x, empty(32))
many = gpu.cost(column_sums, 4, (8, 8), x, empty(32))
print(f"{x.size} numbers, {x.size // 8} sectors in memory")
print(f"one column per block:    {one.far_reads} far reads, {one.sectors} sectors")
print(f"eight columns per block: {many.far_reads} far reads, {many.sectors} sectors")

# %% [markdown]
# Both read each number once, but the first transfers eight times the sectors (32 and 4
# of them are those of the sums, which are written), so it keeps the memory busy eight
# times as long. In the package, `gate` in `minids/ops/cuda/affine.py` is your kernel
# with 32 columns per block; it also applies the derivative of the clip before it adds.
#
# **What we have now**: one thread per element and a guard; shared memory and a barrier
# where threads need each other; adjacent threads on adjacent elements.
#
# **Next question**: a layer is mostly a matrix product. How fast can that be?

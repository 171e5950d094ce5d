"""Checks of lesson 18: the results in three orders of threads, and what the kernels cost."""

import numpy as np

from minids.lesson import exercise, gpu
from minids.lesson.gpu import empty

THREADS = 8


@exercise("18.1", rtol=1e-5, pure=False, keep=False)
def check_bias(bias):
    for rows, H in (1, 4), (4, 6), (7, 3):
        z, b = np.random.default_rng(H).normal(5, 20, (rows, H)), np.arange(float(H))
        launch = bias, (-(-H // 4), -(-rows // 4)), (4, 4), z, b, empty(rows, H)
        words = f"z {z.shape}, blocks {launch[1]} of (4, 4)"
        yield words, *gpu.in_every_order(np.clip(z + b, 0, 20), *launch)
        yield gpu.many_threads(2, z.size, *launch)


def columns(rows, H):
    return np.random.default_rng(rows).integers(-9, 9, (rows, H)).astype(float)


@exercise("18.2", rtol=1e-5, pure=False, keep=False)
def check_column_sum(column_sum):
    for rows, H in (8, 1), (19, 3), (5, 2):
        x = columns(rows, H)
        launch = column_sum, H, THREADS, x, empty(H)
        yield f"x {x.shape}", *gpu.in_every_order(x.sum(axis=0), *launch)
        yield gpu.few_far_reads(x.size, "let each thread read other rows", *launch)
        yield gpu.many_threads(0, H * -(-rows // -(-rows // THREADS)), *launch)


@exercise("18.3", rtol=1e-5, pure=False, keep=False)
def check_column_sums(column_sums):
    for rows, H in (8, 8), (19, 16), (5, 11), (3, 1):
        x, blocks = columns(rows, H), -(-H // 8)
        launch = column_sums, blocks, (8, 8), x, empty(H)
        yield (
            f"x {x.shape}, {blocks} blocks of (8, 8)",
            *gpu.in_every_order(x.sum(axis=0), *launch),
        )
        yield gpu.few_far_reads(x.size, "let each thread read other rows", *launch)
        yield gpu.many_threads(0, H * -(-rows // -(-rows // 8)), *launch)
        if H % 8 == 0:
            sectors, enough = gpu.cost(*launch).sectors, (rows + 1) * blocks
            words = f"{sectors}, where {enough} are enough; let threads with adjacent x read adjacent columns"
            yield (
                "sectors of global memory that are transferred",
                max(sectors, enough),
                enough,
                words,
            )

"""Compiled kernels, executed without a GPU.

    python -m pytest -p tests.ops.cuda.executor.plugin --gpu t4 --order random tests/ops/cuda

The simulator (minids/cuda_simulator) runs the Python source of kernels, with small tiles, and finds races.
Here it is the compiler's output that runs, at the sizes that run on a GPU, and all the host code above the
driver: numba-cuda itself, launches, streams, graphs, memory.

    plugin.py       the options of pytest
    driver.py       stands in for NVIDIA's driver, and is strict: GPUs, streams, launches
    api.py          the functions of libcuda
    ptx.py          translates a kernel from PTX to C
    runtime.h, .c   threads as fibers, barriers, exchanges between lanes, checked memory
    banks.py        counts wavefronts of shared memory
    check_*.py      tests that only make sense here: instructions, faults, two GPUs, arrays of 2³¹ numbers

It needs gcc on x86-64 and `pip install 'minids[cuda]'`. It says nothing about speed, and nothing about what
the assembler makes of PTX, which test_compile.py looks at.
"""

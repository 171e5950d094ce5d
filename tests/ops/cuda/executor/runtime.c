/* Runs a grid: its blocks one after another, or all together if they wait for each other; their threads as
fibers, in a chosen order, each until it waits. A fault ends the launch with a message.

gcc -shared -fPIC; for x86-64, because fibers need eight instructions of assembler. */

#define _GNU_SOURCE
#include "runtime.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define MAX_TRIES 10000 /* of a thread that waits for what others store */
#define STACK 65536 /* bytes of a fiber; ptx.py refuses kernels that need more */

enum { FORWARD, REVERSE, RANDOM };

u64 progress;
Access *accesses;
u64 accesses_count;
static Thread *current;      /* the one that runs */
static void *scheduler;      /* the scheduler's stack pointer meanwhile */
static sigjmp_buf fault_exit;
static char *message;        /* of the fault, 500 characters */
static int order;
static u64 random_state, first_block;

__attribute__((naked, noinline)) static void switch_stack(void **from, void *to) {
  __asm__("push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15; mov %rsp, (%rdi);"
          "mov %rsi, %rsp; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret");
}

void fault(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(message, 300, format, arguments);
  if (current)
    snprintf(message + n, 200, ", thread (%u, %u, %u) of block (%u, %u, %u)", current->index[0], current->index[1],
             current->index[2], current->block->index[0], current->block->index[1], current->block->index[2]);
  siglongjmp(fault_exit, 1);
}

static void on_signal(int number, siginfo_t *info, void *context) {
  if (number == SIGFPE) fault("a division by zero");
  fault("access to global memory that is not allocated, at %p", info->si_addr);
}

void wait_for(Thread *t, State state, int place, u32 mask) {
  t->state = state, t->place = place, t->mask = mask;
  switch_stack(&t->stack_pointer, scheduler);
}

void trace(Thread *t, u32 address, u32 size, int place) {
  if (t->block->number != first_block) return;
  if (!(accesses_count & (accesses_count - 1))) /* twice as many next time */
    accesses = realloc(accesses, sizeof *accesses * (accesses_count ? 2 * accesses_count : 1));
  accesses[accesses_count++] = (Access){t - t->block->threads, place, address, size};
}

static void first_call(void) {
  Thread *t = current;
  t->block->grid->kernel(t);
  wait_for(t, ENDED, 0, 0);
}

static u64 random_below(u64 n) {
  random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
  return (random_state >> 8) % n;
}

/* turns[0 … n-1]: who runs when */
static void arrange(u32 *turns, u32 n) {
  for (u32 i = 0; i < n; i++) turns[i] = order == REVERSE ? n - 1 - i : i;
  for (u32 i = n; order == RANDOM && i > 1; i--) {
    u32 j = random_below(i), other = turns[j];
    turns[j] = turns[i - 1], turns[i - 1] = other;
  }
}

/* Let the lanes of a warp go on that have all met at one exchange. Returns whether there were any. */
static int release(Thread *warp, u32 lanes) {
  int released = 0;
  for (u32 i = 0; i < lanes; i++) {
    if (warp[i].state != AT_EXCHANGE) continue;
    u32 mask = warp[i].mask, met = 0;
    for (u32 j = 0; j < lanes; j++) {
      if (warp[j].state == AT_EXCHANGE && warp[j].place == warp[i].place && warp[j].mask == mask) met |= 1u << j;
      if (warp[j].state == ENDED && mask >> j & 1) fault("an exchange with lane %u, which has ended", j);
    }
    if (lanes < 32 && mask >> lanes) fault("an exchange with lanes that do not exist: mask %#x", mask);
    if (met != mask) continue;
    for (u32 j = 0; j < lanes; j++)
      if (mask >> j & 1) {
        memcpy(warp[j].received, warp[j].given, sizeof warp[j].given);
        warp[j].state = READY;
      }
    released = 1;
  }
  return released;
}

/* Run a block until all of its threads have ended, or one waits for what others store.

A warp goes on as long as it can, so that it overtakes the others where no barrier stops it; at random, not always. */
static State advance(Block *block, u32 n) {
  Thread *threads = block->threads;
  u32 warps = (n + 31) / 32, *lane_turns = block->turns + warps;
  for (;; block->turn = 0) {
    if (!block->turn) arrange(block->turns, warps), arrange(lane_turns, 32);
    while (block->turn < 32 * warps) {
      u32 first = 32 * block->turns[block->turn / 32], i = first + lane_turns[block->turn % 32];
      block->turn++;
      if (i < n) {
        current = threads + i;
        if (current->state <= POLLING) current->state = READY, switch_stack(&scheduler, current->stack_pointer);
        if (current->state == POLLING) return POLLING;
      }
      if (block->turn % 32 == 0 && release(threads + first, n - first < 32 ? n - first : 32))
        if (order != RANDOM || random_below(2)) block->turn -= 32;
    }
    u32 count[ENDED + 1] = {0};
    for (u32 i = 0; i < n; i++) count[threads[i].state]++;
    if (count[ENDED] == n) return ENDED;
    if (count[READY] || count[POLLING]) continue;
    if (count[AT_BARRIER] != n)
      fault("threads wait for others in vain: %u at a barrier, %u for their warp, %u have ended",
            count[AT_BARRIER], count[AT_EXCHANGE], count[ENDED]);
    for (u32 i = 0; i < n; i++) {
      if (threads[i].place != threads[0].place) fault("threads wait at different barriers");
      threads[i].state = READY;
    }
    progress++;
  }
}

static void prepare(Block *block, Grid *grid, u64 number, u32 n, char *stacks) {
  block->grid = grid, block->turn = 0, block->number = number;
  for (int axis = 0; axis < 3; number /= grid->blocks[axis++]) block->index[axis] = number % grid->blocks[axis];
  memset(block->shared, 0xff, grid->shared_size); /* NaN */
  memset(block->under_way, 0, grid->shared_size / 4);
  for (u32 i = 0; i < n; i++) {
    Thread *t = block->threads + i;
    u32 x = grid->threads[0], y = grid->threads[1];
    *t = (Thread){.index = {i % x, i / x % y, i / x / y}, .lane = i % 32, .block = block};
    t->warp = block->threads + i / 32 * 32;
    u64 *top = (u64 *)(stacks + (i + 1ul) * STACK) - 2; /* after the return, the stack is aligned as at a function's entry */
    *top = (u64)first_call;
    t->stack_pointer = memset(top - 6, 0, 48);
  }
}

/* Run blocks until all have ended. */
static void run(Block *blocks, u32 *turns, u32 count, u32 n) {
  for (u32 ended = 0, tries = 0; ended < count;) {
    u64 before = progress;
    ended = 0;
    arrange(turns, count);
    for (u32 i = 0; i < count; i++) ended += advance(blocks + turns[i], n) == ENDED;
    tries = progress == before ? tries + 1 : 0;
    if (tries > MAX_TRIES) fault("threads wait for what no thread stores");
  }
}

/* Runs blocks first … last - 1 of a grid. Returns 0, or 1 after a fault, which is described in `why`. */
int launch(Grid *grid, int cooperative, u64 first, u64 last, int the_order, u64 seed, char *why) {
  u64 n = grid->threads[0] * grid->threads[1] * grid->threads[2], held = cooperative ? last - first : 1;
  u64 size = held * n * STACK, pitch = (grid->shared_size + 127) / 64 * 64;
  Block *blocks = calloc(held, sizeof *blocks);
  Thread *threads = calloc(held * n, sizeof *threads);
  u8 *shared = aligned_alloc(64, held * pitch), *under_way = malloc(held * pitch / 4);
  u32 *turns = calloc(held * (n + 32) + last - first, sizeof *turns), *block_turns = turns + held * (n + 32);
  char *stacks = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  char *signal_stack = malloc(STACK);
  stack_t other = {.ss_sp = signal_stack, .ss_size = STACK}, old;
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK}, before[3];
  int signals[3] = {SIGSEGV, SIGBUS, SIGFPE};
  for (u64 i = 0; i < held; i++)
    blocks[i] = (Block){.shared = shared + i * pitch, .under_way = under_way + i * pitch / 4,
                        .threads = threads + i * n, .turns = turns + i * (n + 32)};
  sigaltstack(&other, &old);
  for (int i = 0; i < 3; i++) sigaction(signals[i], &action, before + i);
  message = why, order = the_order, current = NULL, first_block = first, accesses_count = 0;
  random_state = seed * 2654435761u + 88172645463325252u;
  int failed = sigsetjmp(fault_exit, 1);
  if (!failed && cooperative) {
    for (u64 i = 0; i < held; i++) prepare(blocks + i, grid, i, n, stacks + i * n * STACK);
    run(blocks, block_turns, held, n);
  } else if (!failed) {
    arrange(block_turns, last - first);
    for (u64 i = 0; i < last - first; i++) {
      prepare(blocks, grid, first + block_turns[i], n, stacks);
      run(blocks, (u32[1]){0}, 1, n);
    }
  }
  for (int i = 0; i < 3; i++) sigaction(signals[i], before + i, NULL);
  sigaltstack(&old, NULL);
  munmap(stacks, size);
  free(signal_stack), free(turns), free(under_way), free(shared), free(threads), free(blocks);
  return failed;
}

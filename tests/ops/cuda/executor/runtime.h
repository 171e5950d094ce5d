/* What a translated kernel needs: its threads, checked memory, and the instructions that C does not have.

Every thread of a block is a fiber: it runs until it must wait for others. See runtime.c for the scheduler. */

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef float f32;

/* What a thread waits for: its turn, what other threads store, its block, lanes of its warp. */
typedef enum { READY, POLLING, AT_BARRIER, AT_EXCHANGE, ENDED } State;

struct Block;

typedef struct Thread {
  u32 index[3], lane;
  struct Block *block;
  struct Thread *warp;         /* lane 0 */
  State state;
  int place;                   /* the instruction at which it waits */
  u32 mask;                    /* the lanes that must meet there */
  u32 given[6], received[6];   /* what it shows to the other lanes, and what it showed when they met */
  void *stack_pointer;
} Thread;

typedef struct Grid {
  u32 blocks[3], threads[3];
  u32 dynamic_size, shared_size; /* bytes of shared memory: the dynamic part, and all of it */
  u64 *parameters;               /* the address of each */
  void (*kernel)(Thread *);
} Grid;

typedef struct Block {
  u64 number;
  u32 index[3];
  u8 *shared, *under_way;        /* shared memory; for each of its words, whether a copy to it is under way */
  Thread *threads;
  u32 *turns, turn;              /* the order of warps, then that of lanes; whose turn it is */
  Grid *grid;
} Block;

/* Copies from global to shared memory that a thread has started and not waited for. */
typedef struct Copies {
  u32 count, groups;
  struct { u64 source; u32 target, size, valid, group; } copy[256];
} Copies;

/* Accesses of shared memory by the first block of a launch, in a library that is compiled with TRACE; see banks.py. */
typedef struct Access { u32 thread, place, address, size; } Access;

extern u64 progress;             /* counts what other threads may wait for */

void wait_for(Thread *, State, int place, u32 mask);
void trace(Thread *, u32 address, u32 size, int place);
void fault(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Before another try of the same instruction, other threads have their turn. */
static inline void poll(Thread *t, int place) {
  if (t->place == place) wait_for(t, POLLING, place, 0);
  t->place = place;
}

static inline u32 bits(f32 x) { u32 n; memcpy(&n, &x, 4); return n; }
static inline f32 number(u32 n) { f32 x; memcpy(&x, &n, 4); return x; }

static inline void *shared_at(Thread *t, u64 address, u32 size, int place) {
  if (address % size) fault("misaligned access to shared memory: %u bytes at %#lx", size, address);
  if (address > t->block->grid->shared_size || address + size > t->block->grid->shared_size)
    fault("access beyond shared memory: %u bytes at %ld of %u", size, (s64)address, t->block->grid->shared_size);
#ifdef ASYNC_COPIES
  for (u32 i = 0; i < size; i += 4)
    if (t->block->under_way[(address + i) / 4]) fault("access to shared memory before a copy to it was waited for");
#endif
#ifdef TRACE
  trace(t, address, size, place);
#endif
  return t->block->shared + address;
}

/* Global memory has inaccessible pages between arrays; see driver.py. */
static inline void *global_at(u64 address, u32 size) {
  if (address % size) fault("misaligned access to global memory: %u bytes at %#lx", size, address);
  return (void *)address;
}

static inline void copy_async(Thread *t, Copies *copies, u64 target, u64 source, u32 size, u32 valid, int place) {
  if (valid > size) fault("a copy of %u bytes of %u", valid, size);
  if (copies->count == 256) fault("256 copies are under way");
  shared_at(t, target, size, place), global_at(source, size);
  memset(t->block->under_way + target / 4, 1, size / 4);
  copies->copy[copies->count].source = source, copies->copy[copies->count].target = target;
  copies->copy[copies->count].size = size, copies->copy[copies->count].valid = valid;
  copies->copy[copies->count++].group = copies->groups;
}

/* Until no more than the last n groups are under way. */
static inline void wait_for_copies(Thread *t, Copies *copies, u32 n) {
  u32 left = 0;
  for (u32 i = 0; i < copies->count; i++) {
    typeof(copies->copy[0]) c = copies->copy[i];
    if (c.group + n >= copies->groups) { copies->copy[left++] = c; continue; }
    memset(t->block->under_way + c.target / 4, 0, c.size / 4);
    memcpy(t->block->shared + c.target, (void *)c.source, c.valid);
    memset(t->block->shared + c.target + c.valid, 0, c.size - c.valid);
  }
  copies->count = left;
}

/* A block's shared memory belongs to the next one after its end. */
static inline void end(Thread *t, Copies *copies) {
  if (copies->count) fault("a thread ends while %u of its copies are under way", copies->count);
}

/* bfi: into, with `length` bits of x in place of those from `position` on. */
static inline u64 insert_bits(u64 x, u64 into, u32 position, u32 length) {
  u64 ones = length < 64 ? (1ul << length) - 1 : ~0ul;
  return position < 64 ? (into & ~(ones << position)) | (x & ones) << position : into;
}

static inline f32 toward_zero(double x) { f32 y = x; return fabs(y) > fabs(x) ? nextafterf(y, 0) : y; }
static inline f32 add_toward_zero(f32 a, f32 b) { return toward_zero((double)a + b); }

static inline f32 fma_downward(f32 a, f32 b, f32 c) {
  double exact = fma((double)a, b, c);
  f32 sum = exact;
  return sum > exact ? nextafterf(sum, -INFINITY) : sum;
}

static inline f32 saturated(f32 x) { return x > 0 ? (x < 1 ? x : 1) : 0; }

static inline f32 to_tf32(f32 x) { return isfinite(x) ? number((bits(x) + 0x1000) & 0xffffe000) : x; }

/* shfl.sync.bfly: the value of lane ^ distance. `bounds` holds the last lane and the segments' mask. */
static inline u32 shuffle(Thread *t, u32 value, u32 distance, u32 bounds, u32 mask, int place) {
  t->given[0] = value;
  wait_for(t, AT_EXCHANGE, place, mask);
  u32 segment = bounds >> 8 & 31, last = (t->lane & segment) | (bounds & 31 & ~segment);
  u32 other = t->lane ^ distance;
  return other > last ? value : t->warp[other].received[0];
}

/* ldmatrix: a lane reads the row at its address, and shows it to the other lanes. */
static inline void load_rows(Thread *t, u64 address, u32 matrices, int place) {
  if (t->lane < 8 * matrices) memcpy(t->given, shared_at(t, address, 16, place), 16);
  wait_for(t, AT_EXCHANGE, place, 0xffffffff);
}

/* One of the numbers in a register of a matrix. */
static inline f32 from_tf32(u32 x, u32 i) { return number(x & 0xffffe000); }
static inline f32 from_bf16(u32 x, u32 i) { return number(x >> 16 * i << 16); }
static inline f32 from_f16(u32 x, u32 i) { u16 half = x >> 16 * i; _Float16 y; memcpy(&y, &half, 2); return y; }

static inline u16 to_f16(f32 x) { _Float16 y = x; u16 n; memcpy(&n, &y, 2); return n; }
static inline u16 to_bf16(f32 x) { return isnan(x) ? 0x7fff : (bits(x) + 0x7fff + (bits(x) >> 16 & 1)) >> 16; }

/* mma.sync.m16n8k(8 n), with n numbers in a register: minids/ops/cuda/tensor_core.py shows what each lane holds. */
static inline void multiply_add(Thread *t, const u32 a[4], const u32 b[2], const f32 c[4], f32 d[4], u32 n,
                                f32 (*from)(u32, u32), int place) {
  memcpy(t->given, a, 16);
  memcpy(t->given + 4, b, 8);
  wait_for(t, AT_EXCHANGE, place, 0xffffffff);
  u32 row = t->lane / 4, column = t->lane % 4 * 2;
  for (u32 i = 0; i < 4; i++) {
    double sum = c[i];
    for (u32 k = 0; k < 8 * n; k++) {
      u32 x = t->warp[row * 4 + k / n % 4].received[i / 2 + k / n / 4 * 2];
      u32 y = t->warp[(column + i % 2) * 4 + k / n % 4].received[4 + k / n / 4];
      sum += (double)from(x, k % n) * from(y, k % n);
    }
    d[i] = toward_zero(sum); /* as tensor cores do: https://peerj.com/articles/cs-330/ */
  }
}

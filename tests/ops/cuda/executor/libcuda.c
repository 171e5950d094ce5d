/* The library libcuda.so.1: looks up each function of the driver's API in driver.py. */

typedef int (*Function)(long, long, long);
static Function (*find)(const char *name);

void set_find(Function (*f)(const char *)) { find = f; }

int cuGetProcAddress_v2(const char *name, Function *function, int version, unsigned long flags, int *status) {
  *function = find(name);
  if (status) *status = !*function;
  return *function ? 0 : 500; /* not found */
}

int cuGetProcAddress(const char *name, Function *function, int version, unsigned long flags) {
  return cuGetProcAddress_v2(name, function, version, flags, 0);
}

/* Those that programs find by their names, without asking for an address. */
#define FORWARD(name) int name(long a, long b, long c) { return find(#name)(a, b, c); }
FORWARD(cuInit)
FORWARD(cuDriverGetVersion)
FORWARD(cuDeviceGetCount)
FORWARD(cuDeviceGetAttribute)
FORWARD(cuDeviceGetName)
FORWARD(cuDeviceTotalMem_v2)
FORWARD(cuCtxGetDevice)

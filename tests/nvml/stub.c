/* A driver library for tests: GPUs that do what a script says, behind the symbols that nvidia-ml-py looks for.

   NVML_STUB names the script, one setting a line. Times are microseconds since boot; the truth is a function of them.

     clock FILE            an int64 with the time since boot; without it the machine's own clock
     wall_offset US        wall clock minus time since boot (with a clock file)
     step AT US            the wall clock is set by US at AT
     reload AT UNTIL       the driver is exchanged: everything opened before is void, nothing works until UNTIL
     call_us US            what each call costs, spinning
     gpu KEY VALUES...     begins a GPU (KEY = model) or sets something of the last one, see `set` below
     part ID SLICES MB ON PERIOD PHASE   a MIG instance of the last GPU, busy for ON of each PERIOD                    */

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, SMALL = 7, NOT_LOADED = 9, LOST = 15 };
enum { GPUS = 16, PARTS = 8, STEPS = 8 };

typedef struct { int64_t on, period, phase, count, *starts, *ends, *sums; } Work;
typedef struct Unit {
    struct Unit *board;
    int index, id, slices, part_count, samples, boot, dry, gpm, energy, power, memory, util, ring, mig;
    int64_t megabytes, period, grid, lost_at, lost_until, stall_at, stall_until, reset_at, idle_mw, busy_mw;
    char model[64], uuid[64];
    Work work;
    struct Unit *parts;
} Unit;
typedef struct { int64_t at; Unit *unit; } Sample;

static Unit units[GPUS], parts[GPUS][PARTS];
static int count;
static int64_t call_us, offset, reload_at, reload_until, began_at, *clock_file, step_at[STEPS], step_by[STEPS];
static int step_count, started;

static int64_t clock_us(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
static int64_t now_us(void) { return clock_file ? *(volatile int64_t *)clock_file : clock_us(CLOCK_BOOTTIME); }
static int64_t wall_at(int64_t t) {
    int64_t by = clock_file ? offset : clock_us(CLOCK_REALTIME) - clock_us(CLOCK_BOOTTIME);
    for (int i = 0; i < step_count; i++) if (t >= step_at[i]) by += step_by[i];
    return t + by;
}

static int64_t busy_until(const Work *w, int64_t t) {
    if (w->starts) {
        int64_t low = 0, high = w->count;
        while (low < high) {
            int64_t middle = (low + high) / 2;
            if (w->starts[middle] < t) low = middle + 1; else high = middle;
        }
        if (!low) return 0;
        int64_t end = w->ends[low - 1] < t ? w->ends[low - 1] : t;
        return w->sums[low - 1] + end - w->starts[low - 1];
    }
    if (!w->period) return 0;
    int64_t rest = (t - w->phase) % w->period;
    return (t - w->phase) / w->period * w->on + (rest < w->on ? rest : w->on);
}

static void load(Work *w, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) abort();
    fseek(file, 0, SEEK_END);
    w->count = ftell(file) / 16;
    rewind(file);
    w->starts = malloc(8 * w->count + 8), w->ends = malloc(8 * w->count + 8), w->sums = malloc(8 * w->count + 8);
    int64_t pair[2], sum = 0;
    for (int64_t i = 0; i < w->count && fread(pair, 16, 1, file) == 1; i++) {
        w->starts[i] = pair[0], w->ends[i] = pair[1], w->sums[i] = sum;
        sum += pair[1] - pair[0];
    }
    fclose(file);
}

static void set(Unit *u, const char *key, char *rest) {
    long long a = 0, b = 0, c = 0;
    int given = sscanf(rest, "%lld %lld %lld", &a, &b, &c);
    (void)given;
    if (!strcmp(key, "duty")) u->work.on = a, u->work.period = b, u->work.phase = c;
    else if (!strcmp(key, "trace")) load(&u->work, strtok(rest, " \n"));
    else if (!strcmp(key, "ring")) u->ring = a, u->period = b, u->grid = c;
    else if (!strcmp(key, "samples")) u->samples = a;
    else if (!strcmp(key, "boot")) u->boot = a;
    else if (!strcmp(key, "dry")) u->dry = a;
    else if (!strcmp(key, "gpm")) u->gpm = a;
    else if (!strcmp(key, "energy")) u->energy = a;
    else if (!strcmp(key, "power")) u->power = a;
    else if (!strcmp(key, "memory")) u->memory = a;
    else if (!strcmp(key, "util")) u->util = a;
    else if (!strcmp(key, "lost")) u->lost_at = a, u->lost_until = b;
    else if (!strcmp(key, "stall")) u->stall_at = a, u->stall_until = b;
    else if (!strcmp(key, "reset")) u->reset_at = a;
    else abort();
}

static void read_script(void) {
    FILE *file = fopen(getenv("NVML_STUB") ? getenv("NVML_STUB") : "", "r");
    char line[4096], key[64];
    if (!file) abort();
    while (fgets(line, sizeof line, file)) {
        long long a = 0, b = 0;
        int at = 0;
        char path[2048];
        if (sscanf(line, "clock %2047s", path) == 1) {
            int fd = open(path, O_RDONLY);
            clock_file = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
            close(fd);
        } else if (sscanf(line, "wall_offset %lld", &a) == 1) offset = a;
        else if (sscanf(line, "step %lld %lld", &a, &b) == 2) step_at[step_count] = a, step_by[step_count++] = b;
        else if (sscanf(line, "reload %lld %lld", &a, &b) == 2) reload_at = a, reload_until = b;
        else if (sscanf(line, "call_us %lld", &a) == 1) call_us = a;
        else if (sscanf(line, "gpu model %63[^\n]", path) == 1) {
            Unit *u = &units[count];
            *u = (Unit){.board = u, .index = count, .samples = 1, .energy = 1, .power = 1, .memory = 2, .util = 1,
                        .ring = 100, .period = 166667, .megabytes = 81920, .idle_mw = 70000, .busy_mw = 650000,
                        .parts = parts[count]};
            strcpy(u->model, path);
            sprintf(u->uuid, "GPU-00000000-0000-0000-0000-%012d", count++);
        } else if (sscanf(line, "gpu %63s %n", key, &at) == 1) set(&units[count - 1], key, line + at);
        else if (!strncmp(line, "part ", 5)) {
            Unit *board = &units[count - 1], *u = &board->parts[board->part_count];
            long long id, slices, mb, on, period, phase;
            if (sscanf(line, "part %lld %lld %lld %lld %lld %lld", &id, &slices, &mb, &on, &period, &phase) != 6) abort();
            *u = (Unit){.board = board, .index = board->index, .id = id, .slices = slices, .megabytes = mb, .memory = 2,
                        .gpm = board->gpm, .work = {.on = on, .period = period, .phase = phase}};
            sprintf(u->uuid, "MIG-00000000-0000-0000-%04d-%012lld", board->index, id);
            board->mig = 1, board->part_count++;
        } else abort();
    }
    fclose(file);
}

/* What comes before every call on a unit. */
static int enter(Unit *u) {
    int64_t now = now_us();
    if (call_us) for (int64_t until = clock_us(CLOCK_MONOTONIC) + call_us; clock_us(CLOCK_MONOTONIC) < until;) ;
    if (!started || (reload_at && now >= reload_at && began_at < reload_at)) return UNINITIALIZED;
    if (!u) return OK;
    Unit *b = u->board;
    while (b->stall_at && now_us() >= b->stall_at && now_us() < b->stall_until) usleep(20000);
    now = now_us();
    return b->lost_at && now >= b->lost_at && now < b->lost_until ? LOST : OK;
}
#define ENTER(u) do { int r_ = enter(u); if (r_) return r_; } while (0)

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    if (!count) read_script();
    int64_t now = now_us();
    if (reload_at && now >= reload_at && now < reload_until) return NOT_LOADED;
    began_at = now, started = 1;
    return OK;
}
int nvmlShutdown(void) { started = 0; return OK; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the stub"; }
int nvmlSystemGetDriverVersion(char *text, unsigned n) {
    ENTER(NULL);
    snprintf(text, n, began_at > reload_at && reload_at ? "580.99.01" : "570.12.34");
    return OK;
}
int nvmlDeviceGetCount_v2(unsigned *n) { ENTER(NULL); *n = count; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, Unit **u) {
    if (i >= (unsigned)count) return INVALID;
    ENTER(&units[i]);
    *u = &units[i];
    return OK;
}
int nvmlDeviceGetUUID(Unit *u, char *text, unsigned n) { ENTER(u); snprintf(text, n, "%s", u->uuid); return OK; }
int nvmlDeviceGetName(Unit *u, char *text, unsigned n) { ENTER(u); snprintf(text, n, "%s", u->board->model); return OK; }
int nvmlDeviceGetPowerManagementLimit(Unit *u, unsigned *mw) { ENTER(u); *mw = 700000; return OK; }

static int memory(Unit *u, uint64_t *total, uint64_t *used) {
    ENTER(u);
    if (!u->memory) return NOT_SUPPORTED;
    *total = (uint64_t)u->megabytes << 20, *used = *total / 4;
    return OK;
}
int nvmlDeviceGetMemoryInfo(Unit *u, uint64_t *m) {  /* total, free, used: reserved counts as used */
    uint64_t total, used;
    int r = memory(u, &total, &used);
    if (!r) m[0] = total, m[2] = used + (512u << 20), m[1] = total - m[2];
    return r;
}
int nvmlDeviceGetTotalEnergyConsumption(Unit *u, uint64_t *mj) {
    ENTER(u);
    if (u != u->board || !u->energy) return NOT_SUPPORTED;
    int64_t now = now_us(), from = u->reset_at && now >= u->reset_at ? u->reset_at : 0;
    if (reload_at && now >= reload_at && reload_at > from) from = reload_at;
    int64_t busy = busy_until(&u->work, now) - busy_until(&u->work, from);
    *mj = ((double)u->idle_mw * (now - from) + (double)(u->busy_mw - u->idle_mw) * busy) / 1e6;
    return OK;
}
int nvmlDeviceGetPowerUsage(Unit *u, unsigned *mw) {
    ENTER(u);
    if (u != u->board || !u->power) return NOT_SUPPORTED;
    int64_t now = now_us(), busy = busy_until(&u->work, now) - busy_until(&u->work, now - 1000000);
    *mw = u->idle_mw + (u->busy_mw - u->idle_mw) * busy / 1000000;
    return OK;
}

static unsigned share(const Unit *u, int64_t stamp) {
    int64_t busy = busy_until(&u->work, stamp) - busy_until(&u->work, stamp - u->period);
    return (100 * busy + u->period / 2) / u->period;
}
static int64_t newest(const Unit *u) { return (now_us() - u->grid) / u->period * u->period + u->grid; }

int nvmlDeviceGetUtilizationRates(Unit *u, unsigned *rates) {
    ENTER(u);
    if (u != u->board || u->mig || !u->util) return NOT_SUPPORTED;
    rates[0] = share(u, newest(u)), rates[1] = 0;
    return OK;
}
int nvmlDeviceGetSamples(Unit *u, int type, uint64_t seen, int *kind, unsigned *n, uint64_t *out) {
    ENTER(u);
    if (u != u->board || u->mig || !u->samples || type != 1) return NOT_SUPPORTED;
    unsigned room = out ? *n : 0, found = 0;
    if (!out) { *n = u->ring, *kind = 1; return OK; }
    for (int64_t last = newest(u), t = last - (u->ring - 1) * u->period; t <= last; t += u->period) {
        if (t <= 0) continue;
        uint64_t stamp = u->boot ? t : wall_at(t);
        unsigned value = share(u, t);
        if (stamp <= seen || (u->dry && !value)) continue;
        if (found < room) out[2 * found] = stamp, out[2 * found + 1] = value, found++;
    }
    *n = found, *kind = 1;
    return found ? OK : NOT_FOUND;
}

int nvmlDeviceGetMigMode(Unit *u, unsigned *current, unsigned *pending) {
    ENTER(u);
    if (u != u->board || !(u->gpm || u->mig)) return NOT_SUPPORTED;
    *current = *pending = u->mig;
    return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(Unit *u, unsigned *n) { ENTER(u); *n = u->mig ? 7 : 0; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(Unit *u, unsigned i, Unit **part) {  /* every other index is a hole */
    ENTER(u);
    if (i % 2 || i / 2 >= (unsigned)u->part_count) return NOT_FOUND;
    *part = &u->parts[i / 2];
    return OK;
}
int nvmlDeviceGetGpuInstanceId(Unit *u, unsigned *id) { ENTER(u); *id = u->id; return OK; }
int nvmlDeviceGetAttributes_v2(Unit *u, unsigned *a) {
    ENTER(u);
    memset(a, 0, 40);
    a[6] = a[7] = u->slices;
    ((uint64_t *)a)[4] = u->megabytes;
    return OK;
}

#ifndef OLD_DRIVER
int nvmlDeviceGetMemoryInfo_v2(Unit *u, uint64_t *m) {  /* version, total, reserved, free, used */
    uint64_t total, used;
    if (u->memory < 2) return NOT_SUPPORTED;
    int r = memory(u, &total, &used);
    if (!r) m[1] = total, m[2] = 512u << 20, m[4] = used, m[3] = total - used - m[2];
    return r;
}
typedef struct { unsigned id, result; double value; const char *info[3]; } Metric;
typedef struct { unsigned version, n; Sample *before, *after; Metric metrics[]; } Asked;

int nvmlGpmQueryDeviceSupport(Unit *u, unsigned *support) {
    ENTER(u);
    support[1] = u->gpm > 0;
    return OK;
}
int nvmlGpmSampleAlloc(Sample **s) { *s = calloc(1, sizeof(Sample)); return OK; }
int nvmlGpmSampleFree(Sample *s) { free(s); return OK; }
int nvmlGpmSampleGet(Unit *u, Sample *s) {
    ENTER(u);
    if (!u->gpm) return NOT_SUPPORTED;
    *s = (Sample){now_us(), u};
    return OK;
}
int nvmlGpmMigSampleGet(Unit *u, unsigned id, Sample *s) {
    ENTER(u);
    for (int i = 0; i < u->part_count; i++)
        if (u->parts[i].id == (int)id && u->gpm) {
            *s = (Sample){now_us(), &u->parts[i]};
            return OK;
        }
    return NOT_SUPPORTED;
}
int nvmlGpmMetricsGet(Asked *asked) {
    if (asked->version != 1 || !asked->before->unit) return INVALID;
    ENTER(asked->before->unit);
    int64_t from = asked->before->at, to = asked->after->at;
    Work *w = &asked->after->unit->work;
    double value = to > from ? 100.0 * (busy_until(w, to) - busy_until(w, from)) / (to - from) : 0.0;
    for (unsigned i = 0; i < asked->n; i++) {
        /* gpm 2: a fractional virtual GPU, which says that it has the counters and has not */
        asked->metrics[i].result = asked->before->unit->board->gpm > 1 ? NOT_SUPPORTED : OK;
        asked->metrics[i].value = asked->metrics[i].id == 1 ? value : value * 0.8;
    }
    return OK;
}
#endif

/* Pillow 13's resize of 8-bit images, bit for bit, of a part of the resized image alone.
 *
 * Pillow gives every output a window of inputs and 22-bit fixed-point weights, in 32-bit sums, and rounds to 8 bits after
 * each of its two passes. Here a weight w is split into high = w >> 11 and low = w & 2047, which are 16 bits each: AVX2
 * multiplies and adds those in pairs, and (sum of p x high) << 11 plus (sum of p x low) is Pillow's sum exactly.
 * Weights, windows and the order of the passes come from the sizes of the whole images, as Pillow's do; computed are
 * only the rows and columns that the wanted part needs.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(PORTABLE)
#define HAVE_AVX2
#include <immintrin.h>
#endif

#define WEIGHT_BITS 22
#define SPLIT_BITS 11
#define BLOCK 8 /* weights are kept in blocks of this many, the last one filled up with zeros */

typedef double (*Filter)(double x);

static double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

static double bilinear(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double hamming(double x) {
    x = fabs(x);
    if (x == 0.0) return 1.0;
    if (x >= 1.0) return 0.0;
    x *= M_PI;
    return sin(x) / x * (0.54f + 0.46f * cos(x)); /* single-precision constants, as Pillow's are */
}

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= M_PI;
    return sin(x) / x;
}

static double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

static const struct {
    const char *name;
    Filter filter;
    double support;
} FILTERS[] = {
    {"box", box, 0.5}, {"bilinear", bilinear, 1.0}, {"hamming", hamming, 1.0},
    {"bicubic", bicubic, 2.0}, {"lanczos", lanczos, 3.0},
};

/* One side of the image: what each wanted output is made of. */
typedef struct {
    int in_size, out_size;
    int first, count; /* the wanted outputs */
    int begin, end;   /* the inputs that they need */
    int taps;         /* weights an output has room for: a whole number of blocks */
    int splits;       /* whether every weight fits its two halves, and every block of 8 inputs lies in the image */
    int *start, *length;
    int32_t *weights;
    int16_t *split; /* a block of weights as high 0-3, low 0-3, high 4-7, low 4-7 */
} Axis;

static void free_axis(Axis *axis) {
    free(axis->start);
    free(axis->length);
    free(axis->weights);
    free(axis->split);
}

static int round_up(int count) { return (count + BLOCK - 1) / BLOCK * BLOCK; }

static int32_t to_fixed(double weight) {
    return (int32_t)((weight < 0 ? -0.5 : 0.5) + weight * (1 << WEIGHT_BITS));
}

static void split_weights(Axis *axis, int output) {
    for (int tap = 0; tap < axis->taps; tap++) {
        int32_t weight = axis->weights[(size_t)output * axis->taps + tap], high = weight >> SPLIT_BITS;
        int16_t *at = axis->split + ((size_t)output * axis->taps + tap / 4 * 4) * 2 + tap % 4;
        axis->splits &= high == (int16_t)high;
        at[0] = (int16_t)high;
        at[4] = (int16_t)(weight & ((1 << SPLIT_BITS) - 1));
    }
}

/* Fills in the windows and weights; 0 where memory is short. With `whole_blocks`, a window that would reach over the
 * image's end with its last block begins earlier, with weights of zero. */
static int make_axis(Axis *axis, Filter filter, double filter_support, int whole_blocks) {
    double scale = (double)(float)axis->in_size / axis->out_size; /* Pillow has the size as a float */
    double filter_scale = scale < 1.0 ? 1.0 : scale, inverse = 1.0 / filter_scale;
    double support = filter_support * filter_scale;
    axis->taps = round_up((int)ceil(support) * 2 + 1);
    size_t room = (size_t)axis->count * axis->taps;
    double *values = malloc(axis->taps * sizeof *values);
    axis->start = malloc(axis->count * sizeof *axis->start);
    axis->length = malloc(axis->count * sizeof *axis->length);
    axis->weights = calloc(room, sizeof *axis->weights);
    axis->split = malloc(room * 2 * sizeof *axis->split);
    axis->begin = axis->in_size;
    axis->end = 0;
    axis->splits = 1;
    int complete = values && axis->start && axis->length && axis->weights && axis->split;
    for (int output = 0; complete && output < axis->count; output++) {
        double center = (axis->first + output + 0.5) * scale, sum = 0.0;
        int start = (int)(center - support + 0.5), stop = (int)(center + support + 0.5);
        if (start < 0) start = 0;
        if (stop > axis->in_size) stop = axis->in_size;
        for (int x = start; x < stop; x++) sum += values[x - start] = filter((x - center + 0.5) * inverse);
        int shift = 0, over = start + round_up(stop - start) - axis->in_size;
        if (whole_blocks && over > 0) {
            shift = over < start ? over : start;
            axis->splits &= over <= start;
        }
        int32_t *weights = axis->weights + (size_t)output * axis->taps;
        for (int x = start; x < stop; x++)
            weights[x - start + shift] = to_fixed(sum != 0.0 ? values[x - start] / sum : values[x - start]);
        start -= shift;
        axis->start[output] = start;
        axis->length[output] = stop - start;
        if (start < axis->begin) axis->begin = start;
        int read = whole_blocks && axis->splits ? start + round_up(stop - start) : stop;
        if (read > axis->end) axis->end = read;
        split_weights(axis, output);
    }
    if (axis->end > axis->in_size) axis->end = axis->in_size;
    free(values);
    return complete;
}

/* A pass reads rows of `in`, whose first column and row are `origin` inputs into the image, and writes all of `out`. */
typedef struct {
    const uint8_t *in;
    size_t in_stride;
    uint8_t *out;
    size_t out_stride;
    int origin;
    int rows;   /* of `out` */
    int bands;  /* bytes a pixel */
    int pixels; /* a row of `out` */
} Pass;

static uint8_t clip(uint32_t sum) {
    int32_t value = (int32_t)(sum + (1u << (WEIGHT_BITS - 1))) >> WEIGHT_BITS;
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

static void columns_portable(const Axis *axis, const Pass *pass) {
    for (int y = 0; y < pass->rows; y++)
        for (int x = 0; x < axis->count; x++) {
            const int32_t *weights = axis->weights + (size_t)x * axis->taps;
            const uint8_t *in = pass->in + y * pass->in_stride + (size_t)(axis->start[x] - pass->origin) * pass->bands;
            for (int band = 0; band < pass->bands; band++) {
                uint32_t sum = 0;
                for (int tap = 0; tap < axis->length[x]; tap++)
                    sum += (uint32_t)weights[tap] * in[(size_t)tap * pass->bands + band];
                pass->out[y * pass->out_stride + (size_t)x * pass->bands + band] = clip(sum);
            }
        }
}

static void rows_portable(const Axis *axis, const Pass *pass) {
    size_t bytes = (size_t)pass->pixels * pass->bands;
    for (int y = 0; y < axis->count; y++) {
        const int32_t *weights = axis->weights + (size_t)y * axis->taps;
        const uint8_t *in = pass->in + (axis->start[y] - pass->origin) * pass->in_stride;
        for (size_t x = 0; x < bytes; x++) {
            uint32_t sum = 0;
            for (int tap = 0; tap < axis->length[y]; tap++) sum += (uint32_t)weights[tap] * in[tap * pass->in_stride + x];
            pass->out[y * pass->out_stride + x] = clip(sum);
        }
    }
}

#ifdef HAVE_AVX2
#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load(const void *at) { return _mm256_loadu_si256(at); }

AVX2 static inline __m256i join(__m256i high, __m256i low) {
    return _mm256_add_epi32(_mm256_slli_epi32(high, SPLIT_BITS), low);
}

AVX2 static inline __m128i join_lanes(__m256i high, __m256i low) {
    __m256i sum = join(high, low);
    __m128i both = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    return _mm_srai_epi32(_mm_add_epi32(both, _mm_set1_epi32(1 << (WEIGHT_BITS - 1))), WEIGHT_BITS);
}

/* Four rows and eight pixels of four bytes a step. */
AVX2 static void columns_avx2(const Axis *axis, const Pass *pass) {
    const __m256i pair_01 = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1));
    const __m256i pair_23 = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, 11, -1, 15, -1));
    for (int y = 0; y < pass->rows; y += 4) {
        const uint8_t *in[4];
        uint8_t *out[4];
        for (int i = 0; i < 4; i++) {
            int row = y + i < pass->rows ? y + i : pass->rows - 1;
            in[i] = pass->in + row * pass->in_stride;
            out[i] = pass->out + row * pass->out_stride;
        }
        for (int x = 0; x < axis->count; x++) {
            __m256i high[4], low[4];
            for (int i = 0; i < 4; i++) high[i] = low[i] = _mm256_setzero_si256();
            const int16_t *split = axis->split + (size_t)x * axis->taps * 2;
            size_t at = (size_t)(axis->start[x] - pass->origin) * 4;
            for (int tap = 0; tap < axis->length[x]; tap += BLOCK, split += 2 * BLOCK, at += 4 * BLOCK) {
                __m256i weights = load(split);
                __m256i high_01 = _mm256_shuffle_epi32(weights, 0x00), high_23 = _mm256_shuffle_epi32(weights, 0x55);
                __m256i low_01 = _mm256_shuffle_epi32(weights, 0xAA), low_23 = _mm256_shuffle_epi32(weights, 0xFF);
#define ADD(i)                                                                                      \
    {                                                                                               \
        __m256i pixels = load(in[i] + at);                                                          \
        __m256i first = _mm256_shuffle_epi8(pixels, pair_01), second = _mm256_shuffle_epi8(pixels, pair_23); \
        high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(first, high_01));                     \
        low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(first, low_01));                        \
        high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(second, high_23));                    \
        low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(second, low_23));                       \
    }
                ADD(0) ADD(1) ADD(2) ADD(3)
#undef ADD
            }
            __m128i front = _mm_packs_epi32(join_lanes(high[0], low[0]), join_lanes(high[1], low[1]));
            __m128i back = _mm_packs_epi32(join_lanes(high[2], low[2]), join_lanes(high[3], low[3]));
            uint32_t pixel[4];
            _mm_storeu_si128((__m128i *)pixel, _mm_packus_epi16(front, back));
            for (int i = 0; i < 4; i++) memcpy(out[i] + (size_t)x * 4, &pixel[i], 4);
        }
    }
}

AVX2 static inline __m256i broadcast(const int16_t *pair) {
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return _mm256_set1_epi32(both);
}

AVX2 static inline __m256i finish(__m256i high, __m256i low) {
    __m256i sum = _mm256_add_epi32(join(high, low), _mm256_set1_epi32(1 << (WEIGHT_BITS - 1)));
    return _mm256_srai_epi32(sum, WEIGHT_BITS);
}

/* Two rows, interleaved, and 32 bytes a step; the row has at least as many. */
AVX2 static void rows_avx2(const Axis *axis, const Pass *pass) {
    const __m256i zero = _mm256_setzero_si256();
    size_t bytes = (size_t)pass->pixels * pass->bands;
    for (int y = 0; y < axis->count; y++) {
        const int16_t *split = axis->split + (size_t)y * axis->taps * 2;
        const uint8_t *in = pass->in + (axis->start[y] - pass->origin) * pass->in_stride;
        for (size_t begin = 0; begin < bytes; begin += 32) {
            size_t x = begin + 32 <= bytes ? begin : bytes - 32;
            __m256i high[4], low[4];
            for (int i = 0; i < 4; i++) high[i] = low[i] = zero;
            for (int tap = 0; tap < axis->length[y]; tap += 2) {
                const int16_t *pair = split + tap / 4 * 8 + tap % 4;
                __m256i high_pair = broadcast(pair), low_pair = broadcast(pair + 4);
                const uint8_t *row = in + tap * pass->in_stride + x;
                __m256i upper = load(row), lower = tap + 1 < axis->length[y] ? load(row + pass->in_stride) : zero;
                __m256i front = _mm256_unpacklo_epi8(upper, lower), back = _mm256_unpackhi_epi8(upper, lower);
#define ADD(i, half, unpack)                                                         \
    {                                                                                \
        __m256i pixels = unpack(half, zero);                                         \
        high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(pixels, high_pair));   \
        low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(pixels, low_pair));      \
    }
                ADD(0, front, _mm256_unpacklo_epi8) ADD(1, front, _mm256_unpackhi_epi8)
                ADD(2, back, _mm256_unpacklo_epi8) ADD(3, back, _mm256_unpackhi_epi8)
#undef ADD
            }
            __m256i front = _mm256_packs_epi32(finish(high[0], low[0]), finish(high[1], low[1]));
            __m256i back = _mm256_packs_epi32(finish(high[2], low[2]), finish(high[3], low[3]));
            _mm256_storeu_si256((__m256i *)(pass->out + y * pass->out_stride + x), _mm256_packus_epi16(front, back));
        }
    }
}

/* Drops each pixel's fourth byte, of as many pixels as can be written 16 bytes at a time; returns how many. */
AVX2 static int pack_avx2(const uint8_t *in, uint8_t *out, int pixels, int reversed) {
    const __m128i order = reversed ? _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1)
                                   : _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    int x = 0;
    for (; x + 6 <= pixels; x += 4) {
        __m128i four = _mm_loadu_si128((const __m128i *)(in + (size_t)x * 4));
        _mm_storeu_si128((__m128i *)(out + (size_t)x * 3), _mm_shuffle_epi8(four, order));
    }
    return x;
}
#endif

static int use_avx2;

static void resample_columns(const Axis *axis, const Pass *pass) {
#ifdef HAVE_AVX2
    if (use_avx2 && axis->splits && pass->bands == 4) {
        columns_avx2(axis, pass);
        return;
    }
#endif
    columns_portable(axis, pass);
}

static void resample_rows(const Axis *axis, const Pass *pass) {
#ifdef HAVE_AVX2
    if (use_avx2 && axis->splits && (size_t)pass->pixels * pass->bands >= 32) {
        rows_avx2(axis, pass);
        return;
    }
#endif
    rows_portable(axis, pass);
}

/* Writes pixels of 1 or 4 bytes as pixels of `channels` bytes: grey stays grey or is repeated. */
static void pack(const uint8_t *in, int bands, uint8_t *out, int channels, int reversed, size_t pixels) {
    size_t x = 0;
    if (bands == channels) {
        memcpy(out, in, pixels * bands);
        return;
    }
#ifdef HAVE_AVX2
    if (use_avx2 && bands == 4 && pixels <= INT32_MAX) x = (size_t)pack_avx2(in, out, (int)pixels, reversed);
#endif
    for (; x < pixels; x++)
        for (int channel = 0; channel < channels; channel++)
            out[x * channels + channel] = in[x * bands + (bands == 1 ? 0 : reversed ? 2 - channel : channel)];
}

typedef struct {
    const uint8_t *pixels;
    int bands;
    Axis x, y;
    uint8_t *out; /* of x.count by y.count pixels */
    int channels, reversed;
} Job;

static int resample(Job *job, Filter filter, double support) {
    Axis *x = &job->x, *y = &job->y;
    size_t bands = (size_t)job->bands, stride = x->in_size * bands, out_stride = x->count * bands;
    int64_t shorter = (int64_t)y->in_size - y->out_size, narrower = (int64_t)x->in_size - x->out_size;
    int rows_first = shorter > 0 && shorter > 2 * narrower;
    int scale_x = narrower != 0, scale_y = shorter != 0;
    x->begin = x->first;
    y->begin = y->first;
    x->end = x->first + x->count;
    y->end = y->first + y->count;
    if (scale_x && !make_axis(x, filter, support, 1)) return 0;
    if (scale_y && !make_axis(y, filter, support, 0)) return 0;
    int width = x->end - x->begin, height = y->end - y->begin;
    size_t needed = rows_first ? width * bands * y->count : out_stride * height;
    uint8_t *between = malloc(needed), *done = malloc(out_stride * y->count);
    int complete = between && done;
    if (complete) {
        const uint8_t *in = job->pixels + y->begin * stride + x->begin * bands;
        Pass pass = {in, stride, done, out_stride, 0, y->count, job->bands, x->count};
        if (scale_x && scale_y) {
            pass.out = between;
            pass.out_stride = rows_first ? width * bands : out_stride;
            pass.rows = rows_first ? y->count : height;
            pass.pixels = rows_first ? width : x->count;
            pass.origin = rows_first ? y->begin : x->begin;
            (rows_first ? resample_rows : resample_columns)(rows_first ? y : x, &pass);
            pass = (Pass){between, pass.out_stride, done, out_stride, rows_first ? x->begin : y->begin,
                          y->count, job->bands, x->count};
            (rows_first ? resample_columns : resample_rows)(rows_first ? x : y, &pass);
        } else if (scale_x) {
            pass.origin = x->begin;
            resample_columns(x, &pass);
        } else if (scale_y) {
            pass.origin = y->begin;
            resample_rows(y, &pass);
        } else {
            for (int row = 0; row < y->count; row++) memcpy(done + row * out_stride, in + row * stride, out_stride);
        }
        pack(done, job->bands, job->out, job->channels, job->reversed, (size_t)x->count * y->count);
    }
    free(between);
    free(done);
    return complete;
}

/* Pillow adds the scale up, output by output, and so do we: a product would round differently. */
static int *map_nearest(const Axis *axis) {
    int *map = malloc(axis->count * sizeof *map);
    double scale = (double)(float)axis->in_size / axis->out_size, at = scale * 0.5;
    for (int output = 0; map && output < axis->first + axis->count; output++, at += scale) {
        int input = (int)at;
        if (output >= axis->first) map[output - axis->first] = input < axis->in_size ? input : axis->in_size - 1;
    }
    return map;
}

static int pick_nearest(Job *job) {
    int *columns = map_nearest(&job->x), *rows = map_nearest(&job->y);
    size_t bands = (size_t)job->bands, width = (size_t)job->x.count;
    uint8_t *row = malloc(width * bands);
    int complete = columns && rows && row;
    for (int y = 0; complete && y < job->y.count; y++) {
        const uint8_t *in = job->pixels + (size_t)rows[y] * job->x.in_size * bands;
        for (size_t x = 0; x < width; x++) memcpy(row + x * bands, in + columns[x] * bands, bands);
        pack(row, job->bands, job->out + (size_t)y * width * job->channels, job->channels, job->reversed, width);
    }
    free(columns);
    free(rows);
    free(row);
    return complete;
}

/* The Arrow C data interface, by which Pillow shares an image's memory without copying it. */
typedef struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
} ArrowArray;

/* Returns the pixels' first byte, and sets how many bytes a pixel has; NULL with an exception otherwise. */
static const uint8_t *read_arrow(PyObject *capsule, int64_t pixels, int *bands) {
    ArrowArray *array = PyCapsule_GetPointer(capsule, "arrow_array");
    if (array == NULL) return NULL;
    *bands = array->n_children == 1 ? 4 : 1;
    ArrowArray *bytes = *bands == 4 ? array->children[0] : array;
    if (array->length == pixels && bytes->length == pixels * *bands && bytes->n_buffers == 2 && bytes->offset == 0)
        return bytes->buffers[1];
    PyErr_SetString(PyExc_ValueError, "the image's memory doesn't hold size[0] x size[1] pixels of 1 or 4 bytes");
    return NULL;
}

static int is_part(const Axis *axis) {
    return axis->in_size > 0 && axis->out_size > 0 && axis->first >= 0 && axis->count > 0 &&
           axis->count <= axis->out_size - axis->first;
}

static int run_job(Job *job, const char *name) {
    int complete = -1;
    Py_BEGIN_ALLOW_THREADS
    if (strcmp(name, "nearest") == 0) complete = pick_nearest(job);
    for (size_t i = 0; i < sizeof FILTERS / sizeof *FILTERS; i++)
        if (strcmp(name, FILTERS[i].name) == 0) complete = resample(job, FILTERS[i].filter, FILTERS[i].support);
    free_axis(&job->x);
    free_axis(&job->y);
    Py_END_ALLOW_THREADS
    return complete;
}

static PyObject *resize_part(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *capsule;
    const char *name;
    Py_buffer out;
    Job job = {0};
    if (!PyArg_ParseTuple(
            arguments, "O(ii)(ii)(iiii)sw*p", &capsule, &job.x.in_size, &job.y.in_size, &job.x.out_size,
            &job.y.out_size, &job.x.first, &job.y.first, &job.x.count, &job.y.count, &name, &out, &job.reversed))
        return NULL;
    int complete = 0;
    int64_t wanted = (int64_t)job.x.count * job.y.count;
    if (!is_part(&job.x) || !is_part(&job.y)) {
        PyErr_SetString(PyExc_ValueError, "the part is empty, or lies outside the resized image");
    } else if (out.len != wanted && out.len != wanted * 3) {
        PyErr_SetString(PyExc_ValueError, "the output has to hold the part's pixels, 1 or 3 bytes each");
    } else if ((job.pixels = read_arrow(capsule, (int64_t)job.x.in_size * job.y.in_size, &job.bands)) != NULL) {
        job.out = out.buf;
        job.channels = (int)(out.len / wanted);
        if (job.bands == 4 && job.channels == 1) {
            PyErr_SetString(PyExc_ValueError, "colour doesn't go into one byte a pixel");
        } else if ((complete = run_job(&job, name)) < 0) {
            PyErr_Format(PyExc_ValueError, "there is no filter called %s", name);
        } else if (complete == 0) {
            PyErr_NoMemory();
        }
    }
    PyBuffer_Release(&out);
    if (complete != 1) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"resize_part", resize_part, METH_VARARGS,
     "resize_part(pixels, size, resized, part, filter, out, reversed)\n\nWrite a part of a resized image."},
    {NULL, NULL, 0, NULL},
};

static int fill_module(PyObject *module) {
#ifdef HAVE_AVX2
    __builtin_cpu_init();
    use_avx2 = __builtin_cpu_supports("avx2") != 0;
#endif
    return PyModule_AddStringConstant(module, "INSTRUCTIONS", use_avx2 ? "avx2" : "portable");
}

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, fill_module}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "resample", "Pillow's resize, of a part of the resized image alone.", 0, METHODS, SLOTS,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_resample(void) { return PyModuleDef_Init(&MODULE); }

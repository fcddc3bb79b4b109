// SPDX-License-Identifier: Apache-2.0
// Convolutions and products of float32 for CPUs, called by XLA as custom calls. _jax_kernels.py compiles, loads and calls them.
//
// One idea, three times: keep a tile of results in registers, as many as there are, and for each step of the sum multiply one value, broadcast,
// with two vectors of neighbouring outputs. `tile` does so for convolutions and products, whose sum runs along taps and channels; `outer` for
// gradients of kernels, whose sum runs along pixels. Weights, or gradients from above, are packed first so that those two vectors lie side by side;
// images are read where they lie, copied only where columns are padded. (Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication", 2008; Georganas et al., "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures", 2018.)
//
// What is added to what, and in which order, depends on shapes alone: the bits do not change with the number of threads.
// Vectors are those of GCC and Clang, as wide as the processor's. PART: 1 or 2, to compile one half of it; else all. Start at the bottom.

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>
#include <utility>

#include "xla/ffi/api/c_api.h"

#ifndef PART
#define PART 0
#endif

#if defined(__AVX512F__)
constexpr int VECTOR = 16, TILE = 14;  // floats of a vector; pixels of a tile, that 2 * TILE vectors and a few more fit into the registers
#elif defined(__AVX__)
constexpr int VECTOR = 8, TILE = 6;
#elif defined(__aarch64__)
constexpr int VECTOR = 4, TILE = 14;
#else
constexpr int VECTOR = 4, TILE = 6;
#endif
constexpr int PAIR = 2, LANE = PAIR * VECTOR;  // outputs are computed LANE at a time
constexpr int STRIP = TILE - 1;                // channels of a tile of `outer`
typedef float Vector __attribute__((vector_size(VECTOR * 4), aligned(4), may_alias));
typedef int64_t Int;

typedef int32_t Numbers __attribute__((vector_size(VECTOR * 4)));
typedef uint8_t Bytes __attribute__((vector_size(VECTOR)));
typedef uint16_t Halves __attribute__((vector_size(VECTOR * 2)));
constexpr int NONE = 255;

// As many bytes as there are of a vector, as numbers. In two steps, each of one instruction: GCC takes the elements one by one otherwise.
static inline Numbers named(const uint8_t* from, int64_t count) {
  Bytes bytes = {};
  if (count >= VECTOR)
    memcpy(&bytes, from, VECTOR);
  else if (count > 0)
    memcpy(&bytes, from, count);
  return __builtin_convertvector(__builtin_convertvector(bytes, Halves), Numbers);
}

// nan is larger than all.
static inline Vector larger(Vector a, Vector b) { return a > b ? a : a != a ? a : b; }
static inline Int ceil_div(Int a, Int b) { return (a + b - 1) / b; }
static inline Int least(Int a, Int b) { return a < b ? a : b; }
static inline Int most(Int a, Int b) { return a > b ? a : b; }

// Threads ---------------------------------------------------------------------------------------------------------------------------------

// Pieces of work that the calling thread and XLA's others take one by one. The caller takes part, so it never waits for a thread that is not there.
struct Job {
  void (*run)(const void*, Int);
  const void* what;
  Int count;
  std::atomic<Int> next{0}, done{0}, owners{1};

  void drain() {
    for (Int i; (i = next.fetch_add(1)) < count;) {
      run(what, i);
      done.fetch_add(1, std::memory_order_release);
    }
  }
  void leave() {
    if (owners.fetch_sub(1) == 1) delete this;
  }
  static void join(void* job) {
    static_cast<Job*>(job)->drain();
    static_cast<Job*>(job)->leave();
  }
};

static bool failed(const XLA_FFI_Api* api, XLA_FFI_Error* error) {
  if (!error) return false;
  XLA_FFI_Error_Destroy_Args args = {sizeof(args), nullptr, error};
  api->XLA_FFI_Error_Destroy(&args);
  return true;
}

static Int threads_of(const XLA_FFI_CallFrame* frame) {
  int64_t threads = 1;
  XLA_FFI_ThreadPool_NumThreads_Args args = {sizeof(args), nullptr, frame->ctx, &threads};
  return failed(frame->api, frame->api->XLA_FFI_ThreadPool_NumThreads(&args)) ? 1 : most(threads, 1);
}

template <typename Work>
static void parallel(const XLA_FFI_CallFrame* frame, Int count, const Work& work) {
  Int threads = least(threads_of(frame), count);
  if (threads <= 1) {
    for (Int i = 0; i < count; i++) work(i);
    return;
  }
  Job* job = new Job{[](const void* what, Int i) { (*static_cast<const Work*>(what))(i); }, &work, count};
  for (Int i = 1; i < threads; i++) {
    job->owners.fetch_add(1);
    XLA_FFI_ThreadPool_Schedule_Args args = {sizeof(args), nullptr, frame->ctx, Job::join, job};
    if (failed(frame->api, frame->api->XLA_FFI_ThreadPool_Schedule(&args))) {
      job->leave();
      break;
    }
  }
  job->drain();
  while (job->done.load(std::memory_order_acquire) < count) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  job->leave();
}

// Memory that a thread keeps from call to call; mapped, not allocated, so that it does not lie between XLA's blocks.
struct Scratch {
  void* data = nullptr;
  size_t size = 0;
  ~Scratch() { give_back(); }
  void give_back() {
    if (data) munmap(data, size);
    data = nullptr;
  }
  float* take(size_t floats) {
    if (floats * sizeof(float) > size) {
      give_back();
      size = floats * sizeof(float);
      data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (data == MAP_FAILED) abort();  // as XLA does without memory
    }
    return static_cast<float*>(data);
  }
};
static thread_local Scratch of_call, of_piece;

// Tiles -----------------------------------------------------------------------------------------------------------------------------------

// Parts of vectors go by copies: where memcpy takes the address of an array, Clang does not keep it in registers.
static inline void store(float* out, const Vector* values, Int lanes) {
  if (lanes == LANE) {
    for (int u = 0; u < PAIR; u++) reinterpret_cast<Vector*>(out)[u] = values[u];
  } else {
    Vector copies[PAIR];
    for (int u = 0; u < PAIR; u++) copies[u] = values[u];
    memcpy(out, copies, lanes * sizeof(float));
  }
}

static inline void load(const float* from, Vector* values, Int lanes) {
  if (lanes == LANE) {
    for (int u = 0; u < PAIR; u++) values[u] = reinterpret_cast<const Vector*>(from)[u];
  } else {
    Vector copies[PAIR];
    for (int u = 0; u < PAIR; u++) copies[u] = values[u];
    memcpy(copies, from, lanes * sizeof(float));
    for (int u = 0; u < PAIR; u++) values[u] = copies[u];
  }
}

// f(0), ..., f(Q - 1), each in code of its own: an array that is only read at places known to the compiler can stay in registers.
template <int Q, typename Function>
inline __attribute__((always_inline)) void each(const Function& f) {
  if constexpr (Q > 0) {
    each<Q - 1>(f);
    f(Q - 1);
  }
}

// The largest of some vectors, element by element, and the number of the first that is.
struct Largest {
  Vector value;
  Numbers which;

  explicit Largest(Vector first) : value(first), which{} {}
  void compare(Vector other, int number) {
    which = other > value ? Numbers{} + number : which;
    value = larger(other, value);
  }
};

// What becomes of a sum: times scale, plus shift, of its output, plus what lies where the result will; at least 0 if positive.
// Of a convolution only the largest of each pool_y x pool_x results are kept, and their numbers, if asked for: NONE where relu leaves nothing.
struct Finish {
  const float *scale, *shift, *more;  // nullptr: none; more: nullptr, too, or where the first result goes, in an array like that of results
  bool positive;
  Int pool_y, pool_x;
  uint8_t* winners;

  // Of the outputs from `lane` on, of results that begin `first` floats into them.
  Finish at(Int lane, Int first) const { return {scale ? scale + lane : scale, shift + lane, more ? more + first : more, positive, 1, 1, nullptr}; }

  // The number of the largest of each pool, to the place of that among all.
  void name(const Largest& largest, Int place, Int lanes) const {
    if (!winners) return;
    const Numbers which = positive ? (largest.value > Vector{} ? largest.which : Numbers{} + NONE) : largest.which;
    const Bytes bytes = __builtin_convertvector(which, Bytes);
    if (lanes >= VECTOR)
      memcpy(winners + place, &bytes, VECTOR);  // one instruction, where the other is a call
    else
      memcpy(winners + place, &bytes, lanes);
  }

  // Q pixels, the first at offset `first`, `step` apart.
  template <int Q>
  inline __attribute__((always_inline)) void operator()(Vector (*sums)[PAIR], Int first, Int step, Int lanes) const {
    if (!scale) return;
    Vector factor[PAIR] = {}, term[PAIR] = {};
    load(scale, factor, lanes), load(shift, term, lanes);
    each<Q>([&](int q) __attribute__((always_inline)) {
      Vector other[PAIR] = {};
      if (more) load(more + first + q * step, other, lanes);
      for (int u = 0; u < PAIR; u++) {
        Vector y = sums[q][u] * factor[u] + term[u] + other[u];
        if (positive) y = larger(y, Vector{});
        sums[q][u] = y;
      }
    });
  }
};

static inline Vector& at(float* place) { return *reinterpret_cast<Vector*>(place); }
static inline const Vector& at(const float* place) { return *reinterpret_cast<const Vector*>(place); }

// As many floats as there are of a vector.
static inline Vector part(const float* from, Int count) {
  if (count >= VECTOR) return *reinterpret_cast<const Vector*>(from);
  Vector v = {};
  memcpy(&v, from, count * sizeof(float));
  return v;
}

// The sum: `rows` times `cols` runs of `length` values of x, one after the other in memory.
struct Taps {
  Int rows, cols, length, row_step, col_step;
};

// Multiples of a step, as an address of x86 takes them: a register, or twice, four or eight times one.
struct Steps {
  Int odd[7];
  explicit Steps(Int step) {
    for (int i = 0; i < 7; i++) odd[i] = (2 * i + 1) * step;
  }
  template <int Q>
  inline __attribute__((always_inline)) float at(const char* base) const {
    if constexpr (Q == 0) return *reinterpret_cast<const float*>(base);
    constexpr int power = Q % 8 == 0 ? 8 : Q % 4 == 0 ? 4 : Q % 2 == 0 ? 2 : 1;
    return *reinterpret_cast<const float*>(base + power * odd[Q / power / 2]);
  }
};

template <int Q>
inline __attribute__((always_inline)) void row_of_tile(const char* base, const Steps& steps, const Vector* w, Vector (*sums)[PAIR]) {
  if constexpr (Q > 0) {
    row_of_tile<Q - 1>(base, steps, w, sums);
    Vector x = steps.at<Q - 1>(base) - Vector{};
    for (int u = 0; u < PAIR; u++) sums[Q - 1][u] += x * w[u];
  }
}

// R rows of Q pixels, LANE outputs each. Strides in floats: of pixels in x and y, of rows in both, of rows of taps in w. `more` adds to what y is.
template <int R, int Q>
static void tile(const float* x, Int x_row, Int x_pixel, Taps taps, const float* w, Int w_row, float* y, Int y_row, Int y_pixel, Int lanes, bool more,
                 const Finish& finish) {
  Vector sums[R][Q][PAIR] = {};
  if (more) each<R * Q>([&](int i) __attribute__((always_inline)) { load(y + i / Q * y_row + i % Q * y_pixel, sums[i / Q][i % Q], lanes); });
  const Steps steps(x_pixel * sizeof(float));
  for (Int i = 0; i < taps.rows; i++) {
    const float* weights = w + i * w_row;
    for (Int j = 0; j < taps.cols; j++) {
      const char* base = reinterpret_cast<const char*>(x + i * taps.row_step + j * taps.col_step);
      const char* end = base + taps.length * sizeof(float);
      const char *second = base + x_row * sizeof(float), *third = second + x_row * sizeof(float), *fourth = third + x_row * sizeof(float);
      for (; base != end; base += 4, second += 4, third += 4, fourth += 4, weights += LANE) {
        Vector pair[PAIR];
        for (int u = 0; u < PAIR; u++) pair[u] = reinterpret_cast<const Vector*>(weights)[u];
        row_of_tile<Q>(base, steps, pair, sums[0]);
        if constexpr (R > 1) row_of_tile<Q>(second, steps, pair, sums[1]);
        if constexpr (R > 2) row_of_tile<Q>(third, steps, pair, sums[2]);
        if constexpr (R > 3) row_of_tile<Q>(fourth, steps, pair, sums[3]);
      }
    }
  }
  each<R>([&](int r) __attribute__((always_inline)) { finish.template operator()<Q>(sums[r], r * y_row, y_pixel, lanes); });
  each<R * Q>([&](int i) __attribute__((always_inline)) { store(y + i / Q * y_row + i % Q * y_pixel, sums[i / Q][i % Q], lanes); });
}

// Pixels of some images: how many there are, and from one to the next in x; g lies packed, a row after the other.
struct Pixels {
  Int images, rows, cols, x_image, x_row, x_pixel, g_image, g_row;
};

// P channels of x and LANE of g: the sum over pixels of each times each, added to w unless `first`.
template <int P>
static void outer(const float* x, const float* g, Pixels pixels, float* w, Int w_step, Int lanes, bool first) {
  Vector sums[P][PAIR] = {};
  for (Int image = 0; image < pixels.images; image++)
    for (Int r = 0; r < pixels.rows; r++) {
      const float *a = x + image * pixels.x_image + r * pixels.x_row, *b = g + image * pixels.g_image + r * pixels.g_row;
      for (Int q = 0; q < pixels.cols; q++, a += pixels.x_pixel, b += LANE) {
        Vector pair[PAIR];
        for (int u = 0; u < PAIR; u++) pair[u] = reinterpret_cast<const Vector*>(b)[u];
        for (int p = 0; p < P; p++) {
          Vector value = a[p] - Vector{};
          for (int u = 0; u < PAIR; u++) sums[p][u] += value * pair[u];
        }
      }
    }
  for (int p = 0; p < P; p++, w += w_step) {
    Vector before[PAIR] = {};
    if (!first) load(w, before, lanes);
    for (int u = 0; u < PAIR; u++) before[u] += sums[p][u];
    store(w, before, lanes);
  }
}

typedef void Tile(const float*, Int, Int, Taps, const float*, Int, float*, Int, Int, Int, bool, const Finish&);
typedef void Outer(const float*, const float*, Pixels, float*, Int, Int, bool);

template <int R, int... Q>
struct TilesOf {
  static constexpr Tile* table[] = {nullptr, tile<R, Q + 1>...};
};
template <int... P>
struct OutersOf {
  static constexpr Outer* table[] = {nullptr, outer<P + 1>...};
};
template <int R, int... Q>
constexpr Tile* const* tiles_of(std::integer_sequence<int, Q...>) {
  return TilesOf<R, Q...>::table;
}
template <int... P>
constexpr Outer* const* outers_of(std::integer_sequence<int, P...>) {
  return OutersOf<P...>::table;
}

// By pixels of a row. Those of several rows, by their number, are compiled in the other half.
static constexpr Tile* const* one_row = tiles_of<1>(std::make_integer_sequence<int, TILE>());
extern Tile* const* const several_rows[5];
#if PART != 1
Tile* const* const several_rows[5] = {nullptr, nullptr, tiles_of<2>(std::make_integer_sequence<int, TILE / 2>()),
                                      tiles_of<3>(std::make_integer_sequence<int, TILE / 3>()),
                                      tiles_of<4>(std::make_integer_sequence<int, (TILE + 2) / 4>())};
#endif
static constexpr Outer* const* outers = outers_of(std::make_integer_sequence<int, STRIP>());

// Packing ---------------------------------------------------------------------------------------------------------------------------------

template <int S, size_t... I>
inline __attribute__((always_inline)) void exchange(Vector& a, Vector& b, std::index_sequence<I...>) {
  Vector low = __builtin_shufflevector(a, b, ((I & S) ? (I - S) + VECTOR : I)...);
  Vector high = __builtin_shufflevector(a, b, ((I & S) ? I + VECTOR : I + S)...);
  a = low;
  b = high;
}
template <int S>
inline __attribute__((always_inline)) void exchange_all(Vector* block) {
  for (int i = 0; i < VECTOR; i++)
    if (!(i & S)) exchange<S>(block[i], block[i + S], std::make_index_sequence<VECTOR>());
  if constexpr (S > 1) exchange_all<S / 2>(block);
}

// (LANE, count) of row length `row` to (count, LANE); lanes that are not there become 0.
static void transpose(const float* from, Int row, Int count, Int lanes, float* to) {
  for (int u = 0; u < PAIR; u++, to += VECTOR, from += VECTOR * row, lanes -= VECTOR) {
    Int c = 0;
    if (lanes >= VECTOR)
      for (; c + VECTOR <= count; c += VECTOR) {
        Vector block[VECTOR];
        for (int l = 0; l < VECTOR; l++) block[l] = *reinterpret_cast<const Vector*>(from + l * row + c);
        exchange_all<VECTOR / 2>(block);
        for (int l = 0; l < VECTOR; l++) *reinterpret_cast<Vector*>(to + (c + l) * LANE) = block[l];
      }
    for (; c < count; c++)
      for (int l = 0; l < VECTOR; l++) to[c * LANE + l] = l < lanes ? from[l * row + c] : 0;
  }
}

// `lanes` columns of (count, row) to (count, LANE).
static void gather(const float* from, Int row, Int count, Int lanes, float* to) {
  for (Int i = 0; i < count; i++, from += row, to += LANE) {
    Vector pair[PAIR] = {};
    load(from, pair, lanes);
    store(to, pair, LANE);
  }
}

// Convolution -----------------------------------------------------------------------------------------------------------------------------

// x: (batch, height, width, inputs); kernel: (kernel_height, kernel_width, inputs, outputs), or turned: turned round, with inputs last.
// y: (batch, out_height, out_width, outputs). top, left: widths of the padding before; what comes after follows from the sizes.
// minimal: whether to do it as under "Minimal filtering"; kernels of 3 x 3, strides and dilations of 1.
struct Geometry {
  Int batch, height, width, inputs, kernel_height, kernel_width, outputs, out_height, out_width, stride_y, stride_x, dilation_y, dilation_x, top, left, turned,
      minimal;
};

struct Convolution : Geometry {
  const float *x, *kernel;
  float *y, *panels;
  Finish finish;
  Int padded, blocks, bands, rows;  // width with padding; groups of LANE outputs; parts of an image, and rows of each

  Int lanes(Int block) const { return least(outputs - block * LANE, LANE); }
  Int panel() const { return kernel_height * kernel_width * inputs * LANE; }

  // (taps, inputs, LANE)
  void pack(Int block, float* to) const {
    const Int taps = kernel_height * kernel_width;
    for (Int t = 0; t < taps; t++, to += inputs * LANE) {
      if (turned)
        transpose(kernel + (taps - 1 - t) * inputs * outputs + block * LANE * inputs, inputs, inputs, lanes(block), to);
      else
        gather(kernel + t * inputs * outputs + block * LANE, outputs, inputs, lanes(block), to);
    }
  }

  // Rows of x with their padding.
  void copy(const float* image, Int from, Int to, float* out) const {
    const Int before = left * inputs, row = width * inputs, after = (padded - left - width) * inputs;
    for (Int r = from; r < to; r++) {
      memset(out, 0, before * sizeof(float));
      memcpy(out + before, image + r * row, row * sizeof(float));
      memset(out + before + row, 0, after * sizeof(float));
      out += before + row + after;
    }
  }

  // Rows [from, to) of an image's results, of the blocks [first, last). `image` begins with row `begin` of the input, its columns padded; `results`
  // is where row 0 goes, `place` where that is among all results.
  void compute(const float* image, Int begin, Int from, Int to, float* results, Int place, Int first, Int last) const {
    const Int row = padded * inputs, w_row = kernel_width * inputs * LANE;
    Taps taps = {0, kernel_width, inputs, dilation_y * row, dilation_x * inputs};
    if (dilation_x == 1) taps.cols = 1, taps.length = kernel_width * inputs;  // neighbours in memory
    const Int tall = 4 * out_width <= TILE + 2 ? 4 : 3 * out_width <= TILE ? 3 : 2 * out_width <= TILE ? 2 : 1;
    const Int parts = ceil_div(out_width, TILE);
    const bool light = (last - first) * panel() * Int(sizeof(float)) <= 256 << 10;  // all panels stay near: finish pixels one after the other
    for (Int outermost = light ? last - 1 : first; outermost < last; outermost++)
      for (Int r = from; r < to;) {
        Int count = least(to - r, tall), y0 = r * stride_y - top, y1 = y0 + (count - 1) * stride_y, i0 = 0, i1 = kernel_height;
        if (y0 < 0 || y1 + (kernel_height - 1) * dilation_y >= height) count = 1, y1 = y0;  // taps above and below the image are left out
        while (i0 < i1 && y0 + i0 * dilation_y < 0) i0++;
        while (i1 > i0 && y1 + (i1 - 1) * dilation_y >= height) i1--;
        taps.rows = i1 - i0;
        const float* x_row = image + (y0 + i0 * dilation_y - begin) * row;
        Tile* const* table = count == 1 ? one_row : several_rows[count];
        for (Int part = 0, col = 0; part < parts; part++) {
          const Int q = (out_width - col + parts - part - 1) / (parts - part);
          for (Int block = light ? first : outermost; block <= outermost; block++) {
            const Int offset = (r * out_width + col) * outputs + block * LANE;
            table[q](x_row + col * stride_x * inputs, stride_y * row, stride_x * inputs, taps, panels + block * panel() + i0 * w_row, w_row,
                     results + offset, out_width * outputs, outputs, lanes(block), false, finish.at(block * LANE, place + offset));
          }
          col += q;
        }
        r += count;
      }
  }

  // One part of one image, all outputs.
  void band(Int n) const {
    const Int image = n / bands, from = n % bands * rows, to = least(from + rows, out_height), row = out_width * outputs;
    const float* in = x + image * height * width * inputs;
    Int begin = padded == width ? 0 : most(from * stride_y - top, 0);
    const Int end = padded == width ? 0 : most(begin, least((to - 1) * stride_y - top + (kernel_height - 1) * dilation_y + 1, height));
    const Int kept = pooled() ? (to - from) * row : 0;
    float *results = of_piece.take(kept + (end - begin) * padded * inputs), *copied = results + kept;
    if (padded != width) {
      copy(in, begin, end, copied);
      in = copied;
    }
    if (!pooled()) return compute(in, begin, from, to, y + image * out_height * row, image * out_height * row, 0, blocks);
    compute(in, begin, from, to, results - from * row, image * out_height * row, 0, blocks);
    const Int pooled_height = out_height / finish.pool_y, pooled_row = out_width / finish.pool_x * outputs;
    for (Int r = from / finish.pool_y; r < least(to / finish.pool_y, pooled_height); r++)
      pool(results + (r * finish.pool_y - from) * row, (image * pooled_height + r) * pooled_row);
  }

  bool pooled() const { return finish.pool_y * finish.pool_x > 1; }

  // A row of largest results, to this place among all.
  void pool(const float* results, Int place) const {
    const Int count = finish.pool_y * finish.pool_x, step = out_width * outputs;
    const bool four = finish.pool_y == 2 && finish.pool_x == 2;
    for (Int q = 0; q < out_width / finish.pool_x; q++, results += finish.pool_x * outputs, place += outputs)
      for (Int c = 0; c < outputs; c += VECTOR) {
        const Int lanes = least(outputs - c, VECTOR);
        const float* from = results + c;
        Largest largest(part(from, lanes));
        if (four && lanes == VECTOR) {
          largest.compare(at(from + outputs), 1);
          largest.compare(at(from + step), 2);
          largest.compare(at(from + step + outputs), 3);
        } else {
          for (int i = 1; i < count; i++) largest.compare(part(from + i / finish.pool_x * step + i % finish.pool_x * outputs, lanes), i);
        }
        if (lanes == VECTOR)
          at(y + place + c) = largest.value;
        else
          memcpy(y + place + c, &largest.value, lanes * sizeof(float));
        finish.name(largest, place + c, lanes);
      }
  }

  void run(const XLA_FFI_CallFrame* frame) {
    const Int reach = (out_width - 1) * stride_x + (kernel_width - 1) * dilation_x + 1;
    padded = left || reach > width ? most(reach, left + width) : width;
    blocks = ceil_div(outputs, LANE);
    const bool heavy = blocks >= 4 && blocks * panel() * Int(sizeof(float)) > 1 << 20 && !pooled();  // weights too large to be read for each part of an image
    const Int image = height * padded * inputs;
    panels = of_call.take(blocks * panel() + (heavy && padded != width ? batch * image : 0));
    parallel(frame, blocks, [this](Int i) { pack(i, panels + i * panel()); });
    if (heavy) {
      const float* in = x;
      if (padded != width) {
        float* copied = panels + blocks * panel();
        parallel(frame, batch, [=, this](Int i) { copy(x + i * height * width * inputs, 0, height, copied + i * image); });
        in = copied;
      }
      parallel(frame, blocks, [=, this](Int block) {
        for (Int i = 0, place = 0; i < batch; i++, place += out_height * out_width * outputs)
          compute(in + i * image, 0, 0, out_height, y + place, place, block, block + 1);
      });
    } else {
      bands = most(1, out_height / most(4, (64 << 10) / (padded * inputs * stride_y * Int(sizeof(float)))));
      rows = ceil_div(out_height, bands);
      if (pooled()) {  // what is pooled stays in the first cache
        rows = least(rows, most(4, (32 << 10) / (out_width * outputs * Int(sizeof(float)))));
        rows = ceil_div(rows, finish.pool_y) * finish.pool_y;
      }
      bands = ceil_div(out_height, rows);
      parallel(frame, batch * bands, [this](Int i) { band(i); });
    }
  }
};

// Product ---------------------------------------------------------------------------------------------------------------------------------

// y (rows, outputs) = x (rows, inputs) times w (inputs, outputs), or turned: w (outputs, inputs).
struct Product {
  Int rows, inputs, outputs, turned;
  const float *x, *w;
  float *y, *panels;
  Int blocks, chunk, group;  // groups of LANE outputs; rows, and blocks, of a piece

  static constexpr Int DEPTH = 320;  // of the sum, at a time: a panel of it stays in the first cache, the rows of a piece in the second

  Int lanes(Int block) const { return least(outputs - block * LANE, LANE); }

  void pack(Int block) const {
    float* to = panels + block * inputs * LANE;
    if (turned)
      transpose(w + block * LANE * inputs, inputs, inputs, lanes(block), to);
    else
      gather(w + block * LANE, outputs, inputs, lanes(block), to);
  }

  void piece(Int n) const {
    const Int groups = ceil_div(blocks, group), from = n / groups * chunk, to = least(from + chunk, rows);
    const Int first = n % groups * group, last = least(first + group, blocks);
    const Int parts = ceil_div(to - from, TILE), steps = ceil_div(inputs, DEPTH), depth = ceil_div(inputs, steps);
    const bool light = inputs * group * LANE * Int(sizeof(float)) <= 128 << 10;
    for (Int k = 0; k < inputs; k += depth) {
      const Taps taps = {1, 1, least(depth, inputs - k), 0, 0};
      for (Int outermost = light ? last - 1 : first; outermost < last; outermost++)
        for (Int part = 0, row = from; part < parts; part++) {
          const Int q = (to - row + parts - part - 1) / (parts - part);
          for (Int block = light ? first : outermost; block <= outermost; block++)
            one_row[q](x + row * inputs + k, 0, inputs, taps, panels + (block * inputs + k) * LANE, 0, y + row * outputs + block * LANE, 0,
                          outputs, lanes(block), k > 0, {});
          row += q;
        }
    }
  }

  void run(const XLA_FFI_CallFrame* frame) {
    blocks = ceil_div(outputs, LANE);
    panels = of_call.take(blocks * inputs * LANE);
    parallel(frame, blocks, [this](Int i) { pack(i); });
    const Int pieces = 4 * threads_of(frame), tiles = ceil_div(rows, TILE);
    chunk = ceil_div(tiles, ceil_div(tiles, 14)) * TILE;
    const Int chunks = ceil_div(rows, chunk);
    group = ceil_div(blocks, least(blocks, ceil_div(pieces, chunks)));
    parallel(frame, chunks * ceil_div(blocks, group), [this](Int i) { piece(i); });
  }
};

// Gradient of the kernel ------------------------------------------------------------------------------------------------------------------

// w[i, j, c, o] = the sum over pixels of x at tap (i, j), channel c, times g, channel o.
// With winners, g is of whole pools, and the slope of the one result in each that was the largest; the others have none.
struct KernelGradient : Geometry {
  Int pool_y, pool_x;
  const float *x, *g;
  const uint8_t* winners;
  float *w, *sums;
  bool flat;                                                   // rows of taps are neighbours in memory, and none is padded
  Int width_of_tap, taps, strips, units, groups, group, blocks, range;  // a unit: strip of channels of a tap (or row of taps)
  Int image_step, row_step, col_step, rows, cols, parts, segments, segment;  // pixels come in parts, of one image or of several whole ones, parts in segments

  static constexpr Int PIXELS = 128;  // of a part: its packed gradients, and x of a strip, stay in the first cache

  // What one unit gets from the pixels [r0, r1) by [q0, q1) of some images, their gradients packed.
  void add(Int unit, Int image, Int images, Int r0, Int r1, Int q0, Int q1, const float* packed, float* out, Int block, bool first) const {
    const Int i = unit / (taps * strips), j = unit / strips % taps, s = unit % strips;
    const Int c = s * width_of_tap / strips, count = (s + 1) * width_of_tap / strips - c;
    Int row = r0, below = r1, col = q0, right = q1;  // those whose tap lies on the image
    while (row < below && row * stride_y - top + i * dilation_y < 0) row++;
    while (below > row && (below - 1) * stride_y - top + i * dilation_y >= height) below--;
    if (!flat) {
      while (col < right && col * stride_x - left + j * dilation_x < 0) col++;
      while (right > col && (right - 1) * stride_x - left + j * dilation_x >= width) right--;
    }
    const Int y = row * stride_y - top + i * dilation_y, z = col * stride_x - left + j * dilation_x, g_row = (q1 - q0) * LANE;
    const Pixels pixels = {images, below - row, right - col, height * width * inputs, stride_y * width * inputs, stride_x * inputs,
                           (r1 - r0) * g_row, g_row};
    outers[count](x + ((image * height + y) * width + z) * inputs + c, packed + (row - r0) * g_row + (col - q0) * LANE, pixels,
                     out + ((i * kernel_width + j) * inputs + c) * outputs + block * LANE, outputs, least(outputs - block * LANE, LANE), first);
  }

  // Slopes of the pixels [from, to) of a row, LANE outputs of them.
  void slopes(Int image, Int row, Int from, Int to, Int block, float* packed) const {
    const Int lanes = least(outputs - block * LANE, LANE);
    if (!winners) return gather(g + ((image * out_height + row) * out_width + from) * outputs + block * LANE, outputs, to - from, lanes, packed);
    const Int down = out_height / pool_y, across = out_width / pool_x, y = row / pool_y, first = row % pool_y * pool_x;
    Int z = from / pool_x, place = ((image * down + y) * across + z) * outputs + block * LANE;
    for (Int q = from; q < to; z++, place += outputs) {
      Vector pair[PAIR] = {};
      Numbers which[PAIR] = {};
      if (y < down && z < across) {
        load(g + place, pair, lanes);
        for (int u = 0; u < PAIR; u++) which[u] = named(winners + place + u * VECTOR, lanes - u * VECTOR);
      }
      for (Int k = q - z * pool_x; k < pool_x && q < to; k++, q++, packed += LANE)
        for (int u = 0; u < PAIR; u++) at(packed + u * VECTOR) = which[u] == Numbers{} + int(first + k) ? pair[u] : Vector{};
    }
  }

  void piece(Int n) const {
    const Int ranges = ceil_div(blocks, range), which = n / (ranges * groups);
    const Int first = n / groups % ranges * range, last = least(first + range, blocks), begin = n % groups * group, end = least(begin + group, units);
    float* out = segments > 1 ? sums + which * kernel_height * kernel_width * inputs * outputs : w;
    const Int size = image_step * row_step * col_step * LANE;
    float* packed = of_piece.take(range * size);
    const Int from = which * segment, to = least(from + segment, parts);
    for (Int part = from; part < to; part++) {
      const Int image = part / (rows * cols) * image_step, images = least(image_step, batch - image);
      const Int r0 = part / cols % rows * row_step, r1 = least(r0 + row_step, out_height);
      const Int q0 = part % cols * col_step, q1 = least(q0 + col_step, out_width);
      for (Int block = first; block < last; block++) {
        float* place = packed + (block - first) * size;
        for (Int b = image; b < image + images; b++)
          for (Int r = r0; r < r1; r++, place += (q1 - q0) * LANE) slopes(b, r, q0, q1, block, place);
      }
      for (Int unit = begin; unit < end; unit++)
        for (Int block = first; block < last; block++)
          add(unit, image, images, r0, r1, q0, q1, packed + (block - first) * size, out, block, part == from);
    }
  }

  void run(const XLA_FFI_CallFrame* frame) {
    const bool one = kernel_height == 1 && kernel_width == 1 && stride_y == 1 && stride_x == 1 && !top && !left;
    if (one && out_height == height && out_width == width && !winners)
      width = out_width = batch * height * width, batch = height = out_height = 1;  // a product
    flat = dilation_x == 1 && left == 0 && (out_width - 1) * stride_x + kernel_width <= width;
    width_of_tap = flat ? kernel_width * inputs : inputs;
    taps = flat ? 1 : kernel_width;
    strips = ceil_div(width_of_tap, STRIP);
    units = kernel_height * taps * strips;
    blocks = ceil_div(outputs, LANE);
    col_step = out_width <= 2 * PIXELS ? out_width : ceil_div(out_width, ceil_div(out_width, PIXELS));
    row_step = least(out_height, most(1, PIXELS / col_step));
    image_step = row_step == out_height && col_step == out_width ? least(batch, most(1, PIXELS / (out_height * out_width))) : 1;
    rows = ceil_div(out_height, row_step), cols = ceil_div(out_width, col_step), parts = ceil_div(batch, image_step) * rows * cols;
    const Int size = kernel_height * kernel_width * inputs * outputs;
    const bool small = size <= 64 << 10 && parts >= 64;  // then each piece takes pixels of its own: x and g are read once, all of their columns
    segments = small ? 16 : least(parts, blocks * units >= 32 ? 1 : ceil_div(32, blocks * units));
    segment = ceil_div(parts, segments);
    segments = ceil_div(parts, segment);
    range = small ? blocks : 1;
    groups = small ? 1 : least(units, ceil_div(4 * threads_of(frame), ceil_div(blocks, range) * segments));
    group = ceil_div(units, groups);
    groups = ceil_div(units, group);
    if (segments > 1) sums = of_call.take(segments * size);
    parallel(frame, segments * ceil_div(blocks, range) * groups, [this](Int i) { piece(i); });
    if (segments > 1) {
      memcpy(w, sums, size * sizeof(float));
      for (Int s = 1; s < segments; s++)
        for (Int i = 0; i < size; i++) w[i] += sums[s * size + i];
    }
  }
};

// Minimal filtering -----------------------------------------------------------------------------------------------------------------------

// Kernels of 3 x 3: 2 x 2 results take 16 products instead of 36, of sums of pixels and sums of weights. (Winograd, "Arithmetic Complexity of
// Computations", 1980; Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.) Along each axis
//   pixels d become d0 - d2, d1 + d2, d2 - d1, d1 - d3;  weights g become g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2;
//   their products m give the results m0 + m1 + m2, m1 - m2 - m3.
// Backwards, slopes g of two results become g0, g0 + g1, g0 - g1, -g1, and the sums n of their products with pixels, as above, give the slopes
// n0 + (n1 + n2) / 2, (n1 - n2) / 2, (n1 + n2) / 2 + n3 of the weights.
constexpr int SIDE = 4, PLACES = SIDE * SIDE;

// The tiles of a convolution: row after row, image after image.
struct Tiles : Geometry {
  Int down, across, tiles, wide;  // of an image; of all; inputs, up to whole vectors

  explicit Tiles(const Geometry& of) : Geometry(of) {
    down = ceil_div(out_height, 2), across = ceil_div(out_width, 2), tiles = batch * down * across;
    wide = ceil_div(inputs, VECTOR) * VECTOR;
  }

  // One of them: its image, and its first pixel of the results.
  struct Tile {
    Int image, row, col;
  };
  Tile tile_of(Int n) const { return {n / (down * across), n / across % down * 2, n % across * 2}; }
  void next(Tile& tile) const {
    if ((tile.col += 2) < out_width) return;
    tile.col = 0;
    if ((tile.row += 2) < out_height) return;
    tile.row = 0, tile.image++;
  }

  // Where its pixels are, beginning with those of a row; `zeros` for those that are not on the image.
  void pixels_of(const Tile& tile, const float* x, const float* zeros, const float* (*from)[SIDE]) const {
    const Int y = tile.row - top, z = tile.col - left;
    const float* first = x + ((tile.image * height + y) * width + z) * inputs;
    const bool inside = y >= 0 && y + SIDE <= height && z >= 0 && z + SIDE <= width;
    for (int r = 0; r < SIDE; r++)
      for (int j = 0; j < SIDE; j++)
        from[r][j] = inside || (y + r >= 0 && y + r < height && z + j >= 0 && z + j < width) ? first + (r * width + j) * inputs : zeros;
  }

  // Row I of what pixels become: to v, and `place` floats further each.
  template <int I>
  void mix_pixels(const float* const (*from)[SIDE], float* v, Int place) const {
    const float* const* above = from[I == 0 ? 0 : I == 2 ? 2 : 1];
    const float* const* below = from[I == 2 ? 1 : I == 3 ? 3 : 2];
    for (Int c = 0; c < wide; c += VECTOR, v += VECTOR) {
      Vector d[SIDE];
      for (int j = 0; j < SIDE; j++) {
        const Vector first = part(above[j] + c, inputs - c), second = part(below[j] + c, inputs - c);
        d[j] = I == 1 ? first + second : first - second;
      }
      at(v) = d[0] - d[2];
      at(v + place) = d[1] + d[2];
      at(v + 2 * place) = d[2] - d[1];
      at(v + 3 * place) = d[1] - d[3];
    }
  }

  // Row I of what the slopes of a tile become, LANE outputs of them.
  template <int I>
  void mix_slopes(const Tile& tile, const float* g, Int block, float* to, Int place) const {
    const Int lanes = least(outputs - block * LANE, LANE), row = out_width * outputs;
    const float* from = g + ((tile.image * out_height + tile.row) * out_width + tile.col) * outputs + block * LANE;
    const bool below = tile.row + 1 < out_height;
    Vector mixed[2][PAIR] = {};
    for (int q = 0; q < 2; q++) {
      if (tile.col + q >= out_width) continue;
      Vector rows[2][PAIR] = {};
      if (I != 3) load(from + q * outputs, rows[0], lanes);
      if (I != 0 && below) load(from + q * outputs + row, rows[1], lanes);
      for (int u = 0; u < PAIR; u++)
        mixed[q][u] = I == 0 ? rows[0][u] : I == 1 ? rows[0][u] + rows[1][u] : I == 2 ? rows[0][u] - rows[1][u] : -rows[1][u];
    }
    for (int u = 0; u < PAIR; u++, to += VECTOR) {
      at(to) = mixed[0][u];
      at(to + place) = mixed[0][u] + mixed[1][u];
      at(to + 2 * place) = mixed[0][u] - mixed[1][u];
      at(to + 3 * place) = -mixed[1][u];
    }
  }
};

struct MinimalConvolution : Convolution {
  Tiles of;
  Int run_of, depth;  // tiles of a piece; inputs of a sum at a time

  explicit MinimalConvolution(const Convolution& convolution) : Convolution(convolution), of(convolution) {}

  void weights(Int block) const {
    float* taps = of_piece.take(9 * inputs * LANE);
    pack(block, taps);
    const Int step = inputs * LANE;
    float* to = panels + block * PLACES * step;
    for (Int c = 0; c < step; c += VECTOR, taps += VECTOR, to += VECTOR) {
      Vector g[3][SIDE];
      for (int i = 0; i < 3; i++) spread(at(taps + 3 * i * step), at(taps + (3 * i + 1) * step), at(taps + (3 * i + 2) * step), g[i]);
      for (int j = 0; j < SIDE; j++) {
        Vector column[SIDE];
        spread(g[0][j], g[1][j], g[2][j], column);
        for (int i = 0; i < SIDE; i++) at(to + (i * SIDE + j) * step) = column[i];
      }
    }
  }
  static void spread(Vector a, Vector b, Vector c, Vector* to) {
    const Vector ends = (a + c) * 0.5f, middle = b * 0.5f;
    to[0] = a, to[1] = ends + middle, to[2] = ends - middle, to[3] = c;
  }

  void results(Int from, Int count, const float* products, Int block) const {
    const Int place = count * LANE;
    Tiles::Tile tile = of.tile_of(from);
    for (Int n = 0; n < count; n++, products += LANE, of.next(tile)) {
      Vector out[2][2][PAIR];
      for (int u = 0; u < PAIR; u++) {
        Vector sums[2][SIDE];
        for (int j = 0; j < SIDE; j++) {
          const float* m = products + j * place + u * VECTOR;
          const Vector m1 = at(m + SIDE * place), m2 = at(m + 2 * SIDE * place);
          sums[0][j] = at(m) + m1 + m2;
          sums[1][j] = m1 - m2 - at(m + 3 * SIDE * place);
        }
        for (int r = 0; r < 2; r++) {
          out[r][0][u] = sums[r][0] + sums[r][1] + sums[r][2];
          out[r][1][u] = sums[r][1] - sums[r][2] - sums[r][3];
        }
      }
      const Int below = least(2, out_height - tile.row), right = least(2, out_width - tile.col);
      for (int r = 0; r < below; r++)
        for (int q = 0; q < right; q++) {
          const Int place = ((tile.image * out_height + tile.row + r) * out_width + tile.col + q) * outputs + block * LANE;
          finish.at(block * LANE, place).operator()<1>(out[r] + q, 0, 0, lanes(block));
          if (!pooled()) store(y + place, out[r][q], lanes(block));
        }
      if (!pooled() || below < 2 || right < 2) continue;
      const Int place = ((tile.image * (out_height / 2) + tile.row / 2) * (out_width / 2) + tile.col / 2) * outputs + block * LANE;
      for (int u = 0; u < PAIR; u++) {
        Largest largest(out[0][0][u]);
        for (int i = 1; i < 4; i++) largest.compare(out[i / 2][i % 2][u], i);
        out[0][0][u] = largest.value;
        finish.name(largest, place + u * VECTOR, most(0, least(lanes(block) - u * VECTOR, VECTOR)));
      }
      store(y + place, out[0][0], lanes(block));
    }
  }

  void piece(Int n) const {
    const Int from = n * run_of, count = least(run_of, of.tiles - from), place = count * of.wide, parts = ceil_div(count, TILE);
    float *zeros = of_piece.take(of.wide + PLACES * run_of * (of.wide + LANE)), *v = zeros + of.wide, *products = v + PLACES * place;
    memset(zeros, 0, of.wide * sizeof(float));
    Tiles::Tile tile = of.tile_of(from);
    for (Int t = 0; t < count; t++, v += of.wide, of.next(tile)) {
      const float* pixels[SIDE][SIDE];
      of.pixels_of(tile, x, zeros, pixels);
      of.mix_pixels<0>(pixels, v, place);
      of.mix_pixels<1>(pixels, v + SIDE * place, place);
      of.mix_pixels<2>(pixels, v + 2 * SIDE * place, place);
      of.mix_pixels<3>(pixels, v + 3 * SIDE * place, place);
    }
    v = zeros + of.wide;
    for (Int block = 0; block < blocks; block++) {
      for (int p = 0; p < PLACES; p++)
        for (Int k = 0; k < inputs; k += depth) {
          const float* w = panels + ((block * PLACES + p) * inputs + k) * LANE;
          const Taps taps = {1, 1, least(depth, inputs - k), 0, 0};
          for (Int i = 0, t = 0; i < parts; i++) {
            const Int q = (count - t + parts - i - 1) / (parts - i);
            one_row[q](v + p * place + t * of.wide + k, 0, of.wide, taps, w, 0, products + (p * count + t) * LANE, 0, LANE, LANE, k > 0, {});
            t += q;
          }
        }
      results(from, count, products, block);
    }
  }

  void run(const XLA_FFI_CallFrame* frame) {
    blocks = ceil_div(outputs, LANE);
    depth = ceil_div(inputs, ceil_div(inputs, 320));
    panels = of_call.take(blocks * PLACES * inputs * LANE);
    parallel(frame, blocks, [this](Int i) { weights(i); });
    run_of = most(2, least(6, (448 << 10) / (PLACES * of.wide * TILE * Int(sizeof(float))))) * TILE;
    parallel(frame, ceil_div(of.tiles, run_of), [this](Int i) { piece(i); });
  }
};

struct MinimalGradient : Tiles {
  const float *x, *g;
  float *w, *sums;  // sums: (segments, blocks, PLACES, inputs, LANE)
  Int blocks, range, ranges, strips, run_of, segment, segments;  // blocks and tiles of a piece, and how many are taken at a time

  MinimalGradient(const Geometry& geometry, const float* x, const float* g, float* w) : Tiles(geometry), x(x), g(g), w(w) {}

  // Places (I, 0..3) of one range of blocks and one segment of tiles.
  template <int I>
  void sum(Int n) const {
    const Int first = n % ranges * range, last = least(first + range, blocks), which = n / ranges;
    float *zeros = of_piece.take(wide + run_of * SIDE * (wide + range * LANE)), *v = zeros + wide, *slopes = v + SIDE * run_of * wide;
    memset(zeros, 0, wide * sizeof(float));
    const Int begin = which * segment, end = least(tiles, begin + segment);
    for (Int from = begin; from < end; from += run_of) {
      const Int count = least(run_of, end - from);
      Tile tile = tile_of(from);
      for (Int t = 0; t < count; t++, next(tile)) {
        const float* pixels[SIDE][SIDE];
        pixels_of(tile, x, zeros, pixels);
        mix_pixels<I>(pixels, v + t * wide, run_of * wide);
        for (Int block = first; block < last; block++)
          mix_slopes<I>(tile, g, block, slopes + ((block - first) * SIDE * run_of + t) * LANE, run_of * LANE);
      }
      const Pixels pixels = {1, 1, count, 0, 0, wide, 0, 0};
      for (int p = 0; p < SIDE; p++)
        for (Int block = first; block < last; block++)
          for (Int s = 0; s < strips; s++) {
            const Int c = s * inputs / strips, stop = (s + 1) * inputs / strips;
            outers[stop - c](v + p * run_of * wide + c, slopes + ((block - first) * SIDE + p) * run_of * LANE, pixels,
                                sums + (((which * blocks + block) * PLACES + I * SIDE + p) * inputs + c) * LANE, LANE, LANE, from == begin);
          }
    }
  }
  void piece(Int n) const {
    switch (n % SIDE) {
      case 0: return sum<0>(n / SIDE);
      case 1: return sum<1>(n / SIDE);
      case 2: return sum<2>(n / SIDE);
      default: return sum<3>(n / SIDE);
    }
  }

  static void gathered(Vector n0, Vector n1, Vector n2, Vector n3, Vector* to) {
    const Vector both = (n1 + n2) * 0.5f;
    to[0] = n0 + both, to[1] = (n1 - n2) * 0.5f, to[2] = both + n3;
  }

  void finish(Int block) const {
    const Int step = inputs * LANE;
    for (Int c = 0; c < inputs; c++) {
      Vector taps[9][PAIR];
      for (int u = 0; u < PAIR; u++) {
        Vector n[SIDE][SIDE] = {}, half[SIDE][3], whole[3];
        for (Int s = 0; s < segments; s++)
          for (int p = 0; p < PLACES; p++) n[p / SIDE][p % SIDE] += at(sums + ((s * blocks + block) * PLACES + p) * step + c * LANE + u * VECTOR);
        for (int i = 0; i < SIDE; i++) gathered(n[i][0], n[i][1], n[i][2], n[i][3], half[i]);
        for (int j = 0; j < 3; j++) {
          gathered(half[0][j], half[1][j], half[2][j], half[3][j], whole);
          for (int i = 0; i < 3; i++) taps[i * 3 + j][u] = whole[i];
        }
      }
      for (int t = 0; t < 9; t++) store(w + (t * inputs + c) * outputs + block * LANE, taps[t], least(outputs - block * LANE, LANE));
    }
  }

  void run(const XLA_FFI_CallFrame* frame) {
    blocks = ceil_div(outputs, LANE);
    strips = ceil_div(inputs, STRIP);
    range = least(blocks, 4);
    ranges = ceil_div(blocks, range);
    const Int size = blocks * PLACES * inputs * LANE;
    segments = size > 512 << 10 ? 1 : ceil_div(4, ranges);  // large sums are not worth joining
    segment = ceil_div(tiles, segments);
    segments = ceil_div(tiles, segment);
    run_of = ceil_div(segment, ceil_div(segment, most(64, (640 << 10) / (SIDE * (wide + range * LANE) * Int(sizeof(float))))));
    sums = of_call.take(segments * size);
    parallel(frame, segments * ranges * SIDE, [this](Int i) { piece(i); });
    parallel(frame, blocks, [this](Int i) { finish(i); });
  }
};

// Sums along rows -------------------------------------------------------------------------------------------------------------------------

// Of x (rows, channels): pieces of rows, each with sums of its own, which are joined in their order.
struct Rows {
  static constexpr Int PIECES = 32;
  Int rows, channels, piece, pieces;

  Rows(Int rows, Int channels) : rows(rows), channels(channels) {
    piece = most(16, ceil_div(rows, PIECES));
    pieces = ceil_div(rows, piece);
  }
  Int end(Int n) const { return least(rows, (n + 1) * piece); }
};

// Mean and mean of squared distances from it, in one pass: each block's own while it is near, joined by Chan, Golub and LeVeque (1983).
struct Moments : Rows {
  const float* x;
  float *result, *parts;  // (2, channels); of each piece: means, sums of squares, and two rows for a block

  void join(float* mean, float* squares, const float* means, const float* more, Int count, Int further) const {
    const float share = float(further) / float(count + further), weight = float(count) * share;
    for (Int c = 0; c < channels; c++) {
      const float distance = means[c] - mean[c];
      mean[c] += distance * share;
      squares[c] += more[c] + distance * distance * weight;
    }
  }

  void sum(Int n) const {
    float *mean = parts + n * 4 * channels, *squares = mean + channels, *means = squares + channels, *more = means + channels;
    const Int block = least(128, most(4, (16 << 10) / channels));
    memset(mean, 0, 2 * channels * sizeof(float));
    for (Int from = n * piece; from < end(n); from += block) {
      const Int to = least(end(n), from + block);
      const float factor = 1.0f / float(to - from);
      memset(means, 0, 2 * channels * sizeof(float));
      for (Int r = from; r < to; r++)
        for (Int c = 0; c < channels; c++) means[c] += x[r * channels + c];
      for (Int c = 0; c < channels; c++) means[c] *= factor;
      for (Int r = from; r < to; r++)
        for (Int c = 0; c < channels; c++) {
          const float distance = x[r * channels + c] - means[c];
          more[c] += distance * distance;
        }
      join(mean, squares, means, more, from - n * piece, to - from);
    }
  }

  void run(const XLA_FFI_CallFrame* frame) {
    parts = of_call.take(pieces * 4 * channels);
    parallel(frame, pieces, [this](Int n) { sum(n); });
    for (Int n = 1; n < pieces; n++) join(parts, parts + channels, parts + n * 4 * channels, parts + (n * 4 + 1) * channels, n * piece, end(n) - n * piece);
    for (Int c = 0; c < channels; c++) {
      result[c] = parts[c];
      result[channels + c] = parts[channels + c] / float(rows);
    }
  }
};

// The sums of g, and of g (x - mean).
struct Slopes : Rows {
  const float *x, *g, *mean;
  float *result, *parts;  // (2, channels); of each piece, too

  void sum(Int n) const {
    float *total = parts + n * 2 * channels, *product = total + channels;
    memset(total, 0, 2 * channels * sizeof(float));
    for (Int r = n * piece; r < end(n); r++)
      for (Int c = 0; c < channels; c++) {
        const float slope = g[r * channels + c];
        total[c] += slope;
        product[c] += slope * (x[r * channels + c] - mean[c]);
      }
  }

  void run(const XLA_FFI_CallFrame* frame) {
    parts = of_call.take(pieces * 2 * channels);
    parallel(frame, pieces, [this](Int n) { sum(n); });
    memcpy(result, parts, 2 * channels * sizeof(float));
    for (Int n = 1; n < pieces; n++)
      for (Int c = 0; c < 2 * channels; c++) result[c] += parts[n * 2 * channels + c];
  }
};

// The sums of g, of those that have winners if there are any.
struct Totals : Rows {
  const float* g;
  const uint8_t* winners;
  float *result, *parts;  // (channels); of each piece, too

  void sum(Int n) const {
    float* total = parts + n * channels;
    for (Int c = 0; c < channels; c += VECTOR) {
      const Int lanes = least(channels - c, VECTOR);
      Vector sum = {};
      for (Int r = n * piece; r < end(n); r++) {
        const Vector slope = part(g + r * channels + c, lanes);
        sum += winners ? named(winners + r * channels + c, lanes) != Numbers{} + NONE ? slope : Vector{} : slope;
      }
      memcpy(total + c, &sum, lanes * sizeof(float));
    }
  }

  void run(const XLA_FFI_CallFrame* frame) {
    parts = of_call.take(pieces * channels);
    parallel(frame, pieces, [this](Int n) { sum(n); });
    memcpy(result, parts, channels * sizeof(float));
    for (Int n = 1; n < pieces; n++)
      for (Int c = 0; c < channels; c++) result[c] += parts[n * channels + c];
  }
};

// What XLA calls --------------------------------------------------------------------------------------------------------------------------

// XLA asks each function once for the version it was made for.
static bool asked(XLA_FFI_CallFrame* frame) {
  for (XLA_FFI_Extension_Base* extension = frame->extension_start; extension; extension = extension->next)
    if (extension->type == XLA_FFI_Extension_Metadata) {
      XLA_FFI_Metadata* metadata = reinterpret_cast<XLA_FFI_Metadata_Extension*>(extension)->metadata;
      metadata->api_version.major_version = XLA_FFI_API_MAJOR;
      metadata->api_version.minor_version = XLA_FFI_API_MINOR;
      metadata->traits = 0;
      return true;
    }
  return false;
}

static const Int* numbers(const XLA_FFI_CallFrame* frame) { return static_cast<Int*>(static_cast<XLA_FFI_Array*>(frame->attrs.attrs[0])->data); }
static const float* argument(const XLA_FFI_CallFrame* frame, int i) {
  return static_cast<float*>(static_cast<XLA_FFI_Buffer*>(frame->args.args[i])->data);
}
static float* result(const XLA_FFI_CallFrame* frame, int i = 0) {
  return static_cast<float*>(static_cast<XLA_FFI_Buffer*>(frame->rets.rets[i])->data);
}
// n: whether there is something to add, whether results are at least 0, and of how many the largest is kept. A second result: which it is.
static Finish finish_of(const XLA_FFI_CallFrame* frame, const Int* n) {
  uint8_t* winners = frame->rets.size > 1 ? reinterpret_cast<uint8_t*>(result(frame, 1)) : nullptr;
  return {argument(frame, 2), argument(frame, 3), n[0] ? argument(frame, 4) : nullptr, n[1] != 0, n[2], n[3], winners};
}

static XLA_FFI_Error* convolve(const XLA_FFI_CallFrame* frame, const Finish& finish) {
  Convolution work = {};
  memcpy(static_cast<Geometry*>(&work), numbers(frame), sizeof(Geometry));
  work.x = argument(frame, 0), work.kernel = argument(frame, 1), work.y = result(frame), work.finish = finish;
  if (work.minimal && (!work.pooled() || (finish.pool_y == 2 && finish.pool_x == 2)))
    MinimalConvolution(work).run(frame);
  else
    work.run(frame);
  return nullptr;
}

#define EXPORTED __attribute__((visibility("default")))
extern "C" {

#if PART != 2
EXPORTED XLA_FFI_Error* convolution(XLA_FFI_CallFrame* frame) { return asked(frame) ? nullptr : convolve(frame, {nullptr, nullptr, nullptr, false, 1, 1, nullptr}); }
EXPORTED XLA_FFI_Error* finished_convolution(XLA_FFI_CallFrame* frame) {
  return asked(frame) ? nullptr : convolve(frame, finish_of(frame, numbers(frame) + sizeof(Geometry) / sizeof(Int)));
}
EXPORTED XLA_FFI_Error* pooled_convolution(XLA_FFI_CallFrame* frame) { return finished_convolution(frame); }

EXPORTED XLA_FFI_Error* product(XLA_FFI_CallFrame* frame) {
  if (asked(frame)) return nullptr;
  const Int* n = numbers(frame);
  Product work = {n[0], n[1], n[2], n[3], argument(frame, 0), argument(frame, 1), result(frame)};
  work.run(frame);
  return nullptr;
}
#endif
#if PART != 1
EXPORTED XLA_FFI_Error* kernel_gradient(XLA_FFI_CallFrame* frame) {
  if (asked(frame)) return nullptr;
  KernelGradient work = {};
  memcpy(static_cast<Geometry*>(&work), numbers(frame), sizeof(Geometry));
  work.x = argument(frame, 0), work.g = argument(frame, 1), work.w = result(frame);
  if (work.minimal)
    MinimalGradient(work, work.x, work.g, work.w).run(frame);
  else
    work.run(frame);
  return nullptr;
}

// Of a convolution whose results were pooled, and the sums of slopes.
EXPORTED XLA_FFI_Error* pooled_gradient(XLA_FFI_CallFrame* frame) {
  if (asked(frame)) return nullptr;
  KernelGradient work = {};
  const Int* n = numbers(frame);
  memcpy(static_cast<Geometry*>(&work), n, sizeof(Geometry));
  work.pool_y = n[sizeof(Geometry) / sizeof(Int)], work.pool_x = n[sizeof(Geometry) / sizeof(Int) + 1];
  work.x = argument(frame, 0), work.g = argument(frame, 1), work.winners = reinterpret_cast<const uint8_t*>(argument(frame, 2));
  work.w = result(frame);
  const Int pools = work.batch * (work.out_height / work.pool_y) * (work.out_width / work.pool_x);
  Totals totals = {{pools, work.outputs}, work.g, work.winners, result(frame, 1), nullptr};
  totals.run(frame);
  work.run(frame);
  return nullptr;
}

EXPORTED XLA_FFI_Error* totals(XLA_FFI_CallFrame* frame) {
  if (asked(frame)) return nullptr;
  const Int* n = numbers(frame);
  Totals work = {{n[0], n[1]}, argument(frame, 0), nullptr, result(frame), nullptr};
  work.run(frame);
  return nullptr;
}

// A gradient of a kernel of size 1, over one long row.
EXPORTED XLA_FFI_Error* outer_product(XLA_FFI_CallFrame* frame) { return kernel_gradient(frame); }

EXPORTED XLA_FFI_Error* moments(XLA_FFI_CallFrame* frame) {
  if (asked(frame)) return nullptr;
  const Int* n = numbers(frame);
  Moments work = {{n[0], n[1]}, argument(frame, 0), result(frame), nullptr};
  work.run(frame);
  return nullptr;
}

EXPORTED XLA_FFI_Error* slopes(XLA_FFI_CallFrame* frame) {
  if (asked(frame)) return nullptr;
  const Int* n = numbers(frame);
  Slopes work = {{n[0], n[1]}, argument(frame, 0), argument(frame, 1), argument(frame, 2), result(frame), nullptr};
  work.run(frame);
  return nullptr;
}
#endif
}

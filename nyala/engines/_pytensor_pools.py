# SPDX-License-Identifier: Apache-2.0
"""The gradient of max pooling as a loop of C: NumPy looks at each tensor seven times for each place in a window. Imported for what it adds.

Knows PyTensor and NumPy only. Start at of_pool_put.
"""

from __future__ import annotations

import numpy as np

from nyala.engines._pytensor_kernels import Line, Loop, special

# The windows come from the last to the first, so that what several windows add to an element is added in the order of places in the window, as
# `pool_put` does. Padding is the lowest there is.
CODE = r"""
static void @(char** p, const npy_int64* n, const npy_int64* s) {
  const npy_int64 rows = n[1], columns = n[2], depth = n[3], high = n[4], wide = n[5], tall = n[6], broad = n[7], down = n[8], right = n[9];
  const npy_int64 above = s[0], left = s[1];
  const TYPE *x = (const TYPE*)p[0], *y = (const TYPE*)p[1], *g = (const TYPE*)p[2];
  TYPE* r = (TYPE*)p[3];
  TYPE* __restrict__ taken = (TYPE*)p[4];  // 1 where the window has its largest; as wide as the rest, for vectors
  memset(r, 0, n[0] * rows * columns * depth * sizeof(TYPE));
  for (npy_int64 b = 0; b < n[0]; b++)
    for (npy_int64 i = high - 1; i >= 0; i--)
      for (npy_int64 j = wide - 1; j >= 0; j--) {
        const npy_int64 at = ((b * high + i) * wide + j) * depth;
        const TYPE *__restrict__ top = y + at, *__restrict__ given = g + at;
        memset(taken, 0, depth * sizeof(TYPE));
        for (npy_int64 k = 0; k < tall; k++)
          for (npy_int64 l = 0; l < broad; l++) {
            const npy_int64 row = i * down + k - above, column = j * right + l - left;
            const npy_bool inside = row >= 0 && row < rows && column >= 0 && column < columns;
            const npy_int64 place = inside ? ((b * rows + row) * columns + column) * depth : 0;
            const TYPE* __restrict__ seen = x + place;
            TYPE* __restrict__ sum = r + place;
            if (inside) {
              #ifdef __GNUC__
              #pragma GCC ivdep
              #endif
              for (npy_int64 c = 0; c < depth; c++) {
                const TYPE v = seen[c];
                const bool here = (taken[c] == 0) & ((v == top[c]) | (v != v));
                taken[c] = here ? (TYPE)1 : taken[c];
                sum[c] += here ? given[c] : (TYPE)0;
              }
            } else
              for (npy_int64 c = 0; c < depth; c++) taken[c] = top[c] == -INFINITY ? (TYPE)1 : taken[c];
          }
      }
}
"""


@special("pool_put")
def of_pool_put(line: Line) -> Loop | None:
    """For images and for rows of vectors, of float32 or float64."""
    x, y, g = (variable.type for variable in line.node.inputs)
    window, strides, padding = line.node.op.settings
    if x.dtype not in ("float32", "float64") or {x.dtype} != {y.dtype, g.dtype} or len(window) > 2 or 0 in (*x.shape, *y.shape):
        return None
    more = 2 - len(window)
    sizes = [x.shape[0], *[1] * more, *x.shape[1:], *[1] * more, *y.shape[1:-1], *[1] * more, *window, *[1] * more, *strides]
    before = [*[0] * more, *(sides[0] for sides in padding)]
    number = np.dtype(x.dtype).num
    steps = [*before, *[0] * (3 * len(sizes) - len(before))]
    operands = [part for kind in (x, y, g) for part in (number, int(np.prod(kind.shape)))]
    results = [number, len(x.shape), *x.shape, number, 1, x.shape[-1]]
    layout = np.array([3, 2, len(sizes), *sizes, *steps, *operands, *results], np.int64)
    return Loop([*line.results, f"{line.results[0]}_taken"], line.arguments, CODE.replace("TYPE", f"npy_{x.dtype}"), layout, 1, int(np.prod(x.shape)))

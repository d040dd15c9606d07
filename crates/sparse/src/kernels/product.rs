//! Products of dense matrices in panels.
//!
//! All three products of a fully connected layer are sums of a broadcast number times a vector. The broadcast one lies in
//! panels `[k / 16][rows][16]`, the vectors in panels `[n][k][16]`, the result in panels `[n][rows][16]`:
//!
//! ```text
//! output  y[block][out]   = sum over in     of w[in / 16][out][in % 16]        * x[block][in]
//! weight  dw[panel][out]  = sum over images of dy[block][out][image % 16]      * xt[panel][image]
//! input   dx[block][in]   = sum over out    of w[in / 16][out][in % 16]        * dy[block][out]
//! ```
//!
//! The first two are [`product`], the last is [`transposed_product`].

use crate::lanes::{LANES, Lanes, slices};
use crate::simd::Vector;
use std::ops::Range;

/// What a product starts from, and where it goes: vector `n` of row `row`.
pub(crate) trait Sink {
    /// The value that the sum starts with.
    fn start<V: Vector>(&self, n: usize, row: usize) -> V;
    /// Takes the sum.
    fn finish<V: Vector>(&mut self, n: usize, row: usize, sum: V);
}

/// `sum over k of a[k / 16][row][k % 16] * b[n][k]` for all `rows` and all of `b`; `a` has `stride` rows a panel.
#[inline(always)]
pub(crate) fn product<V: Vector>(
    a: &[Lanes],
    stride: usize,
    rows: Range<usize>,
    k: Range<usize>,
    b: &[&[Lanes]],
    sink: &mut impl Sink,
) {
    let mut n = 0;
    while n < b.len() {
        let left = if V::REGISTERS >= 32 { b.len() - n } else { 1 };
        n += match left {
            4.. => columns::<V, 4>(a, stride, rows.clone(), k.clone(), b, n, sink),
            2..4 => columns::<V, 2>(a, stride, rows.clone(), k.clone(), b, n, sink),
            _ => columns::<V, 1>(a, stride, rows.clone(), k.clone(), b, n, sink),
        };
    }
}

#[inline(always)]
fn columns<V: Vector, const N: usize>(
    a: &[Lanes],
    stride: usize,
    rows: Range<usize>,
    k: Range<usize>,
    b: &[&[Lanes]],
    n: usize,
    sink: &mut impl Sink,
) -> usize {
    let own = slices!(N, |i| b[n + i]);
    let mut row = rows.start;
    while row < rows.end {
        let left = if V::REGISTERS >= 8 { rows.end - row } else { (rows.end - row).min(2) };
        row += match left {
            6.. => tile::<V, 6, N>(a, stride, row, k.clone(), own, n, sink),
            4..6 => tile::<V, 4, N>(a, stride, row, k.clone(), own, n, sink),
            2..4 => tile::<V, 2, N>(a, stride, row, k.clone(), own, n, sink),
            _ => tile::<V, 1, N>(a, stride, row, k.clone(), own, n, sink),
        };
    }
    N
}

#[inline(always)]
fn tile<V: Vector, const M: usize, const N: usize>(
    a: &[Lanes],
    stride: usize,
    row: usize,
    k: Range<usize>,
    b: [&[Lanes]; N],
    n: usize,
    sink: &mut impl Sink,
) -> usize {
    let mut sums = start::<V, M, N>(n, row, sink);
    let mut from = k.start;
    while from < k.end {
        let place = from / LANES * stride + row;
        let factors = a[place..].first_chunk::<M>().expect("a tile lies within its panel");
        if k.end - from >= LANES {
            let vectors = slices!(N, |i| &b[i][from..][..LANES]);
            for step in 0..LANES {
                let mut own = [V::splat(0.0); N];
                for i in 0..N {
                    own[i] = V::load(&vectors[i][step]);
                }
                for r in 0..M {
                    let factor = V::splat(factors[r].0[step]);
                    for i in 0..N {
                        sums[r][i] = factor.mul_add(own[i], sums[r][i]);
                    }
                }
            }
        } else {
            for step in 0..k.end - from {
                for r in 0..M {
                    let factor = V::splat(factors[r].0[step]);
                    for i in 0..N {
                        sums[r][i] = factor.mul_add(V::load(&b[i][from + step]), sums[r][i]);
                    }
                }
            }
        }
        from += LANES;
    }
    finish(sums, n, row, sink);
    M
}

/// `sum over k of panel[k][lane] * b[n][k]` for every lane of the panel (as row) and all of `b`.
#[inline(always)]
pub(crate) fn transposed_product<V: Vector>(panel: &[Lanes], b: &[&[Lanes]], sink: &mut impl Sink) {
    let mut n = 0;
    while n < b.len() {
        if V::REGISTERS >= 32 && b.len() - n >= 2 {
            let own = [b[n], b[n + 1]];
            for lane in [0, 8] {
                transposed_tile::<V, 8, 2>(panel, lane, own, n, sink);
            }
            n += 2;
        } else {
            for lane in [0, 4, 8, 12] {
                transposed_tile::<V, 4, 1>(panel, lane, [b[n]], n, sink);
            }
            n += 1;
        }
    }
}

#[inline(always)]
fn transposed_tile<V: Vector, const M: usize, const N: usize>(
    panel: &[Lanes],
    lane: usize,
    b: [&[Lanes]; N],
    n: usize,
    sink: &mut impl Sink,
) {
    let mut sums = start::<V, M, N>(n, lane, sink);
    let b = slices!(N, |i| &b[i][..panel.len()]);
    for (k, factors) in panel.iter().enumerate() {
        let factors = factors.0[lane..].first_chunk::<M>().expect("lanes of a panel");
        let mut own = [V::splat(0.0); N];
        for i in 0..N {
            own[i] = V::load(&b[i][k]);
        }
        for r in 0..M {
            let factor = V::splat(factors[r]);
            for i in 0..N {
                sums[r][i] = factor.mul_add(own[i], sums[r][i]);
            }
        }
    }
    finish(sums, n, lane, sink);
}

/// What a tile's sums start with. They pass through memory, so that the sums themselves are only ever indexed by
/// constants, and stay in registers.
#[inline(always)]
fn start<V: Vector, const M: usize, const N: usize>(n: usize, row: usize, sink: &impl Sink) -> [[V; N]; M] {
    let mut room = [[Lanes::ZERO; N]; M];
    for (r, room) in room.iter_mut().enumerate() {
        for (i, room) in room.iter_mut().enumerate() {
            sink.start::<V>(n + i, row + r).store(room);
        }
    }
    let mut sums = [[V::splat(0.0); N]; M];
    for r in 0..M {
        for i in 0..N {
            sums[r][i] = V::load(&room[r][i]);
        }
    }
    sums
}

/// Hands a tile's sums out; see [`start`].
#[inline(always)]
fn finish<V: Vector, const M: usize, const N: usize>(sums: [[V; N]; M], n: usize, row: usize, sink: &mut impl Sink) {
    let mut room = [[Lanes::ZERO; N]; M];
    for r in 0..M {
        for i in 0..N {
            sums[r][i].store(&mut room[r][i]);
        }
    }
    for (r, room) in room.iter().enumerate() {
        for (i, room) in room.iter().enumerate() {
            sink.finish(n + i, row + r, V::load(room));
        }
    }
}

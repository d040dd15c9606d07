//! Fully connected layers of one image.

use super::matrix::{Matrix, Value};
use super::{Compute, Image, finished};
use crate::infer::aligned::Aligned;
use crate::kernels::flat::active;
use crate::lanes::{LANES, Lanes};
use crate::simd::{Register, Vector};
use std::mem::size_of;

/// A layer: its weights, biases, and whether relu follows.
#[derive(Debug)]
pub(super) struct Linear {
    pub weight: Matrix,
    pub bias: Vec<f32>,
    pub rectified: bool,
}

/// The neurons' biases and, where weights are held as codes, factors: sixteen at a time.
#[derive(Debug)]
struct Ends {
    bias: Vec<[f32; LANES]>,
    scales: Vec<[f32; LANES]>,
    rectified: bool,
}

impl Ends {
    fn new(linear: &Linear) -> Self {
        let panels = |from: &[f32]| {
            let panel = |own: &[f32]| std::array::from_fn(|lane| own.get(lane).copied().unwrap_or(0.0));
            from.chunks(LANES).map(panel).collect()
        };
        Self { bias: panels(&linear.bias), scales: panels(&linear.weight.scales), rectified: linear.rectified }
    }

    fn bytes(&self) -> usize {
        4 * LANES * (self.bias.len() + self.scales.len())
    }

    /// The answers of sixteen neurons, from their sums.
    #[inline(always)]
    fn write<V: Vector>(&self, panel: usize, sum: V, y: &mut [f32]) {
        let bias = V::read(&self.bias[panel]);
        let sum = if self.scales.is_empty() { sum.add(bias) } else { sum.mul_add(V::read(&self.scales[panel]), bias) };
        let to = y[panel * LANES..].first_chunk_mut().expect("room behind the last neuron");
        finished(sum, self.rectified).write(to);
    }
}

/// `sum over inputs of x[input] * weight[input][n]` for `N` panels of sixteen neurons.
#[inline(always)]
fn sums<V: Vector, W: Value, const N: usize>(x: &[f32], active: &[u32], weight: &[[W; LANES]]) -> [V; N] {
    // Two sums a panel, so that one addition does not wait for the one before.
    let mut sums = [[V::splat(0.0); 2]; N];
    let (pairs, last) = active.as_chunks::<2>();
    for pair in pairs {
        for own in 0..2 {
            let input = pair[own] as usize;
            let factor = V::splat(x[input]);
            for n in 0..N {
                sums[n][own] = factor.mul_add(W::vector::<V>(&weight[input * N + n]), sums[n][own]);
            }
        }
    }
    if let [input] = last {
        let factor = V::splat(x[*input as usize]);
        for n in 0..N {
            sums[n][0] = factor.mul_add(W::vector::<V>(&weight[*input as usize * N + n]), sums[n][0]);
        }
    }
    let mut found = [V::splat(0.0); N];
    for n in 0..N {
        found[n] = sums[n][0].add(sums[n][1]);
    }
    found
}

/// Panels of sixteen neurons that are computed together.
const TOGETHER: usize = 4;

/// All weights: `[panel of 16 neurons / 4][input][4][16]`.
#[derive(Debug)]
pub(super) struct Panels<W> {
    inputs: usize,
    weight: Aligned<W>,
    ends: Ends,
}

impl<W: Value> Panels<W> {
    pub(super) fn new(linear: &Linear) -> Self {
        let matrix = &linear.weight;
        let panels = matrix.rows().div_ceil(LANES);
        let mut weight = vec![[W::default(); LANES]; panels * matrix.columns];
        for row in 0..matrix.rows() {
            let panel = row / LANES;
            let tile = panel / TOGETHER;
            // The last tile may have fewer panels.
            let width = TOGETHER.min(panels - tile * TOGETHER);
            for (column, value) in matrix.row(row).0.iter().zip(matrix.rounded(row)) {
                let place = tile * TOGETHER * matrix.columns + *column as usize * width + panel % TOGETHER;
                weight[place][row % LANES] = value;
            }
        }
        Self { inputs: matrix.columns, weight: Aligned::of(&weight), ends: Ends::new(linear) }
    }
}

impl<W: Value> Compute for Panels<W> {
    fn weight_bytes(&self) -> usize {
        self.weight.len() * size_of::<W>() + self.ends.bytes()
    }

    #[inline(always)]
    fn compute<V: Vector>(&self, Image { x, y, scratch }: Image<'_>) {
        active(&x[..self.inputs], &mut scratch.active);
        let count = self.ends.bias.len();
        for first in (0..count).step_by(TOGETHER) {
            let weight = &self.weight.as_chunks::<LANES>().0[first * self.inputs..];
            macro_rules! some {
                ($n:literal) => {{
                    let sums = sums::<V, W, $n>(x, &scratch.active, weight);
                    for n in 0..$n {
                        self.ends.write(first + n, sums[n], y);
                    }
                }};
            }
            match count - first {
                4.. => some!(4),
                3 => some!(3),
                2 => some!(2),
                _ => some!(1),
            }
        }
    }
}

/// Kept weights of a group of neurons, whose sums are a register: eight of them, or sixteen. A step takes at most one weight of
/// each, all of them within a window of neighbouring inputs; a neuron that has none there gets a zero.
#[derive(Debug)]
pub(super) struct Windowed<W> {
    /// Neurons of a group.
    lanes: usize,
    /// The steps of group `g` are `starts[g]..starts[g + 1]`.
    starts: Vec<u32>,
    /// The first input of each step's window.
    windows: Vec<u32>,
    /// Which input of the window each neuron takes, four steps of a group at a time: `[four steps][lane]`, a byte for each.
    places: Aligned<u32>,
    /// `[step][lane]`.
    values: Aligned<W>,
    ends: Ends,
}

/// Steps whose places are read at once.
const STEPS: usize = 4;

impl<W: Value> Windowed<W> {
    /// For registers of so many floats, which look up one of so many entries.
    pub(super) fn new(linear: &Linear, [lanes, entries]: [usize; 2]) -> Self {
        let matrix = &linear.weight;
        let count = matrix.rows();
        let rows: Vec<Vec<W>> = (0..count).map(|row| matrix.rounded(row)).collect();
        // A window of several registers begins on the border of one, so that reading it touches as few cache lines as can be.
        let border = if entries > lanes { lanes as u32 } else { 1 };
        let (mut starts, mut windows, mut all_places, mut all_values) = (vec![0], vec![], vec![], vec![]);
        // Groups without a neuron fill up the last panel.
        for first in (0..count.next_multiple_of(LANES)).step_by(lanes) {
            let mut left: Vec<_> = (first..count.min(first + lanes))
                .map(|row| matrix.row(row).0.iter().copied().zip(&rows[row]).peekable())
                .collect();
            let mut step = 0;
            while let Some(next) = left.iter_mut().filter_map(|row| row.peek().map(|(column, _)| *column)).min() {
                let window = next / border * border;
                if step % STEPS == 0 {
                    all_places.push([0; LANES]);
                }
                let mut values = [W::default(); LANES];
                for (lane, row) in left.iter_mut().enumerate() {
                    if let Some((column, value)) = row.next_if(|(column, _)| column - window < entries as u32) {
                        let places = all_places.last_mut().expect("pushed with the first step");
                        places[lane] |= (column - window) << (8 * (step % STEPS));
                        values[lane] = *value;
                    }
                }
                windows.push(window);
                all_values.push(values);
                step += 1;
            }
            starts.push(windows.len() as u32);
        }
        let (places, values) = (firsts(&all_places, lanes), firsts(&all_values, lanes));
        Self { lanes, starts, windows, places, values, ends: Ends::new(linear) }
    }

    /// The sums of a group, whose places are the next ones.
    #[inline(always)]
    fn sum<'a, R: Register>(&self, group: usize, x: &[f32], places: &mut impl Iterator<Item = &'a [u32]>) -> R {
        let lanes = LANES / R::COUNT;
        let steps = self.starts[group] as usize..self.starts[group + 1] as usize;
        let (windows, windows_left) = self.windows[steps.clone()].as_chunks::<STEPS>();
        let mut values = self.values[steps.start * lanes..steps.end * lanes].chunks_exact(STEPS * lanes);
        // Several sums, so that one addition does not wait for the one before.
        let mut sums = [R::zero(); STEPS];
        for windows in windows {
            let (Some(places), Some(values)) = (places.next(), values.next()) else { unreachable!("steps have them") };
            let mut places = R::indices(places);
            for step in 0..STEPS {
                let picked = R::pick(&x[windows[step] as usize..], places);
                sums[step] = picked.mul_add(W::read(&values[step * lanes..][..lanes]), sums[step]);
                places = R::next(places);
            }
        }
        if !windows_left.is_empty() {
            let mut places = R::indices(places.next().expect("steps have them"));
            for (window, values) in windows_left.iter().zip(values.remainder().chunks_exact(lanes)) {
                sums[0] = R::pick(&x[*window as usize..], places).mul_add(W::read(values), sums[0]);
                places = R::next(places);
            }
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3]))
    }
}

/// The first of each sixteen, one after the other.
fn firsts<T: Copy + Default>(all: &[[T; LANES]], count: usize) -> Aligned<T> {
    let mut own = Aligned::zeros(all.len() * count);
    own.chunks_exact_mut(count).zip(all).for_each(|(own, all)| own.copy_from_slice(&all[..count]));
    own
}

impl<W: Value> Compute for Windowed<W> {
    fn weight_bytes(&self) -> usize {
        4 * (self.starts.len() + self.windows.len() + self.places.len())
            + self.values.len() * size_of::<W>()
            + self.ends.bytes()
    }

    #[inline(always)]
    fn compute<V: Vector>(&self, Image { x, y, .. }: Image<'_>) {
        let registers = V::Register::COUNT;
        assert_eq!(self.lanes * registers, LANES, "compiled for the instruction set that it runs with");
        let mut places = self.places.chunks_exact(LANES / registers);
        for panel in 0..self.ends.bias.len() {
            let mut sums = Lanes::ZERO;
            for place in 0..registers {
                let sum: V::Register = self.sum(panel * registers + place, x, &mut places);
                sum.store(&mut sums, place);
            }
            self.ends.write(panel, V::load(&sums), y);
        }
    }
}

/// Kept weights, input after input: those of inputs that are zero are left out.
#[derive(Debug)]
pub(super) struct Columns<W> {
    inputs: usize,
    outputs: usize,
    /// The weights of input `c` are `starts[c]..starts[c + 1]`.
    starts: Vec<u32>,
    rows: Vec<u32>,
    values: Vec<W>,
    ends: Ends,
}

impl<W: Value> Columns<W> {
    pub(super) fn new(linear: &Linear) -> Self {
        let matrix = &linear.weight;
        let mut starts = vec![0u32; matrix.columns + 1];
        for column in &matrix.places {
            starts[*column as usize + 1] += 1;
        }
        for column in 0..matrix.columns {
            starts[column + 1] += starts[column];
        }
        let mut next = starts.clone();
        let (mut rows, mut values) = (vec![0; matrix.places.len()], vec![W::default(); matrix.places.len()]);
        for row in 0..matrix.rows() {
            for (column, value) in matrix.row(row).0.iter().zip(matrix.rounded(row)) {
                let place = next[*column as usize] as usize;
                (rows[place], values[place]) = (row as u32, value);
                next[*column as usize] += 1;
            }
        }
        let (inputs, outputs) = (matrix.columns, matrix.rows());
        Self { inputs, outputs, starts, rows, values, ends: Ends::new(linear) }
    }
}

impl<W: Value> Compute for Columns<W> {
    fn weight_bytes(&self) -> usize {
        4 * (self.starts.len() + self.rows.len()) + self.values.len() * size_of::<W>() + self.ends.bytes()
    }

    #[inline(always)]
    fn compute<V: Vector>(&self, Image { x, y, scratch }: Image<'_>) {
        active(&x[..self.inputs], &mut scratch.active);
        let sums = &mut scratch.pixels;
        sums.clear();
        sums.resize(self.outputs.next_multiple_of(LANES), 0.0);
        for input in &scratch.active {
            let input = *input as usize;
            let factor = x[input];
            let range = self.starts[input] as usize..self.starts[input + 1] as usize;
            for (row, value) in self.rows[range.clone()].iter().zip(&self.values[range]) {
                sums[*row as usize] += factor * value.get();
            }
        }
        for (panel, sums) in sums.as_chunks::<LANES>().0.iter().enumerate() {
            self.ends.write(panel, V::read(sums), y);
        }
    }
}

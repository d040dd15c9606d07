//! Matrices as the kernels of inference read them: row after row, or four rows that share their columns.

use super::matrix::{Matrix, Value};
use crate::kernels::windows::SHARED;
use crate::simd::Vector;
use std::mem::size_of;

/// The kept values of a matrix, row after row; a column is told as the place of its input.
#[derive(Debug)]
pub(super) struct Rows<W> {
    starts: Vec<u32>,
    places: Vec<u32>,
    values: Vec<W>,
    bias: Vec<f32>,
    /// A factor for each row; empty when there is none.
    scales: Vec<f32>,
}

impl<W: Value> Rows<W> {
    /// The values of a matrix; `place` says where the input of a column stands.
    pub(super) fn new(matrix: &Matrix, bias: &[f32], place: impl Fn(u32) -> u32) -> Self {
        let places = matrix.places.iter().map(|column| place(*column)).collect();
        let values = (0..matrix.rows()).flat_map(|row| matrix.rounded(row)).collect();
        Self { starts: matrix.starts.clone(), places, values, bias: bias.to_vec(), scales: matrix.scales.clone() }
    }

    pub(super) fn rows(&self) -> usize {
        self.bias.len()
    }

    pub(super) fn bytes(&self) -> usize {
        4 * (self.starts.len() + self.places.len() + self.bias.len() + self.scales.len())
            + self.values.len() * size_of::<W>()
    }

    /// Places and values of a row.
    #[inline(always)]
    pub(super) fn terms(&self, row: usize) -> impl Iterator<Item = (usize, f32)> {
        let range = self.starts[row] as usize..self.starts[row + 1] as usize;
        self.places[range.clone()].iter().zip(&self.values[range]).map(|(place, value)| (*place as usize, value.get()))
    }

    /// The answer of a row that has no values, whatever the inputs are.
    #[inline(always)]
    pub(super) fn constant(&self, row: usize) -> Option<f32> {
        (self.starts[row] == self.starts[row + 1]).then(|| self.bias[row])
    }

    /// What the sum of a row starts with.
    #[inline(always)]
    pub(super) fn start(&self, row: usize) -> f32 {
        if W::SCALED { 0.0 } else { self.bias[row] }
    }

    /// The answer of a row, from its sum.
    #[inline(always)]
    pub(super) fn end<V: Vector>(&self, row: usize, sum: V) -> V {
        if W::SCALED { sum.mul_add(V::splat(self.scales[row]), V::splat(self.bias[row])) } else { sum }
    }
}

/// Four rows together, with every column that holds a value in one of them.
#[derive(Debug)]
pub(super) struct Shared<W> {
    starts: Vec<u32>,
    places: Vec<u32>,
    values: Vec<[W; SHARED]>,
    bias: Vec<[f32; SHARED]>,
    scales: Vec<[f32; SHARED]>,
}

impl<W: Value> Shared<W> {
    /// The values of a matrix; `place` says where the input of a column stands.
    pub(super) fn new(matrix: &Matrix, bias: &[f32], place: impl Fn(u32) -> u32) -> Self {
        let mut own = Self { starts: vec![0], places: vec![], values: vec![], bias: vec![], scales: vec![] };
        let mut values = vec![[W::default(); SHARED]; matrix.columns];
        let mut held = vec![false; matrix.columns];
        for first in (0..matrix.rows()).step_by(SHARED) {
            let (mut biases, mut scales) = ([0.0; SHARED], [0.0; SHARED]);
            for (lane, row) in (first..matrix.rows().min(first + SHARED)).enumerate() {
                biases[lane] = bias[row];
                if W::SCALED {
                    scales[lane] = matrix.scales[row];
                }
                for (column, value) in matrix.row(row).0.iter().zip(matrix.rounded(row)) {
                    values[*column as usize][lane] = value;
                    held[*column as usize] = true;
                }
            }
            for (column, held) in held.iter_mut().enumerate().filter(|(_, held)| **held) {
                own.places.push(place(column as u32));
                own.values.push(std::mem::take(&mut values[column]));
                *held = false;
            }
            own.starts.push(own.places.len() as u32);
            own.bias.push(biases);
            if W::SCALED {
                own.scales.push(scales);
            }
        }
        own
    }

    /// Columns that a group of a matrix would hold, over the values that it has: what sharing costs.
    pub(super) fn fill(matrix: &Matrix) -> f64 {
        let mut columns = 0;
        for first in (0..matrix.rows()).step_by(SHARED) {
            let rows = first..matrix.rows().min(first + SHARED);
            let mut own: Vec<u32> = rows.flat_map(|row| matrix.row(row).0.iter().copied()).collect();
            own.sort_unstable();
            own.dedup();
            columns += own.len();
        }
        (columns * SHARED) as f64 / matrix.values.len().max(1) as f64
    }

    pub(super) fn groups(&self) -> usize {
        self.bias.len()
    }

    pub(super) fn bytes(&self) -> usize {
        4 * (self.starts.len() + self.places.len() + SHARED * (self.bias.len() + self.scales.len()))
            + self.values.len() * size_of::<[W; SHARED]>()
    }

    #[inline(always)]
    pub(super) fn terms(&self, group: usize) -> impl Iterator<Item = (usize, [f32; SHARED])> {
        let range = self.starts[group] as usize..self.starts[group + 1] as usize;
        let numbers = |own: &[W; SHARED]| [own[0].get(), own[1].get(), own[2].get(), own[3].get()];
        self.places[range.clone()]
            .iter()
            .zip(&self.values[range])
            .map(move |(place, own)| (*place as usize, numbers(own)))
    }

    #[inline(always)]
    pub(super) fn start(&self, group: usize) -> [f32; SHARED] {
        if W::SCALED { [0.0; SHARED] } else { self.bias[group] }
    }

    /// The answer of a group's row, from its sum.
    #[inline(always)]
    pub(super) fn end<V: Vector>(&self, group: usize, row: usize, sum: V) -> V {
        if W::SCALED { sum.mul_add(V::splat(self.scales[group][row]), V::splat(self.bias[group][row])) } else { sum }
    }
}

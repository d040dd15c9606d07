//! Rows of a table that numbers choose.

use super::Places;
use crate::lanes::{LANES, Lanes, at};
use crate::simd::{Kernel, Vector};
use crate::train::graph::copy::reordered;
use secateur_graph::{Embedding, Graph, Node, Op};
use std::mem::size_of_val;

/// The rows that some numbers choose, and where they go.
#[derive(Debug)]
pub(in crate::infer) struct Rows {
    table: Embedding,
    /// Row after row, each filled up to whole vectors.
    values: Vec<Lanes>,
    places: To,
}

#[derive(Debug)]
enum To {
    /// Sixteen numbers at a time whose rows go into the lanes of the same vectors: the vector that they stand in, or the number that
    /// each of them is (`u32::MAX` where a lane has none).
    Vectors { from: From, to: Vec<u32> },
    /// Where each number stands, and each number of its row.
    Numbers { from: Vec<u32>, to: Vec<u32> },
}

#[derive(Debug)]
enum From {
    Vectors(Vec<u32>),
    Numbers(Vec<[u32; LANES]>),
}

const NONE: u32 = u32::MAX;

impl Rows {
    /// Of the table of a node, with the sides of its output changed as the nodes up to a value of the graph, by its index, change them.
    pub(super) fn new(
        (graph, node, output): (&Graph, &Node, usize),
        table: Embedding,
        values: &[f32],
        x: &Places<'_>,
        y: &Places<'_>,
    ) -> Self {
        let count = graph.shape(node.inputs[0])[0];
        let moved = moved(graph, node, output);
        let to = |number: usize, column: usize| y.of(moved[number * table.columns + column]);
        let columns = table.columns;
        let own: Vec<Lanes> = values.chunks_exact(columns).flat_map(filled_up).collect();
        let places = if x.tiling.is_none() {
            let from = From::Vectors((0..count).map(|number| x.of(number) as u32).collect());
            let pairs = (0..count).flat_map(|number| (0..columns).map(move |column| (number, column)));
            To::Vectors { from, to: pairs.map(|(number, column)| to(number, column) as u32).collect() }
        } else {
            side_by_side(count, columns, x, &to).unwrap_or_else(|| To::Numbers {
                from: (0..count).map(|number| x.of(number) as u32).collect(),
                to: (0..count * columns).map(|place| to(place / columns, place % columns) as u32).collect(),
            })
        };
        Self { table, values: own, places }
    }

    pub(super) fn weight_bytes(&self) -> usize {
        size_of_val(&*self.values)
    }

    pub(super) fn list_bytes(&self) -> usize {
        match &self.places {
            To::Vectors { from: From::Vectors(from), to } => size_of_val(&**from) + size_of_val(&**to),
            To::Vectors { from: From::Numbers(from), to } => size_of_val(&**from) + size_of_val(&**to),
            To::Numbers { from, to } => size_of_val(&**from) + size_of_val(&**to),
        }
    }

    /// The vectors of a number's row.
    #[inline(always)]
    fn row(&self, number: f32) -> Option<&[Lanes]> {
        let each = self.table.columns.div_ceil(LANES);
        self.table.row(number).map(|row| &self.values[row * each..(row + 1) * each])
    }

    #[inline(always)]
    fn number(&self, from: &From, slot: usize, lane: usize, x: &[Lanes]) -> Option<f32> {
        match from {
            From::Vectors(own) => Some(x[own[slot] as usize].0[lane]),
            From::Numbers(own) => Some(own[slot][lane]).filter(|own| *own != NONE).map(|own| at(x, own as usize)),
        }
    }
}

/// A row as whole vectors.
fn filled_up(row: &[f32]) -> Vec<Lanes> {
    let one = |own: &[f32]| {
        let mut lanes = Lanes::ZERO;
        lanes.0[..own.len()].copy_from_slice(own);
        lanes
    };
    row.chunks(LANES).map(one).collect()
}

/// Where each number of the rows stands, row-major, once nodes have changed the sides.
fn moved(graph: &Graph, node: &Node, output: usize) -> Vec<usize> {
    // Back from the output: other nodes may read the values between them, too, but nobody needs those.
    let (mut way, mut last) = (vec![], output);
    while last != node.output.index() {
        let own = &graph.nodes()[last - 1];
        way.push(own);
        last = own.inputs[0].index();
    }
    let mut moved: Vec<usize> = (0..graph.shape(node.output).iter().product()).collect();
    for own in way.into_iter().rev() {
        if let Op::Permute(order) = &own.op {
            let shape = graph.shape(own.inputs[0]);
            let mut to = vec![0; moved.len()];
            (0..moved.len()).for_each(|index| to[reordered(shape, order, index)] = index);
            moved.iter_mut().for_each(|own| *own = to[*own]);
        }
    }
    moved
}

/// Numbers whose rows go into the lanes of the same vectors; `None` where some do not.
fn side_by_side(count: usize, columns: usize, x: &Places<'_>, to: &dyn Fn(usize, usize) -> usize) -> Option<To> {
    // By the vector that the first column goes to: the number in each lane.
    let mut slots: std::collections::BTreeMap<usize, [usize; LANES]> = std::collections::BTreeMap::new();
    for number in 0..count {
        let first = to(number, 0);
        slots.entry(first / LANES).or_insert([usize::MAX; LANES])[first % LANES] = number;
    }
    let (mut from, mut vectors) = (vec![], vec![]);
    for numbers in slots.values() {
        let some = *numbers.iter().find(|own| **own != usize::MAX).expect("a slot has a number");
        let own: Vec<usize> = (0..columns).map(|column| to(some, column) / LANES).collect();
        for (lane, number) in numbers.iter().enumerate().filter(|(_, number)| **number != usize::MAX) {
            let fits = |column: usize| to(*number, column) == own[column] * LANES + lane;
            if !(0..columns).all(fits) {
                return None;
            }
        }
        from.push(numbers.map(|own| if own == usize::MAX { NONE } else { x.of(own) as u32 }));
        vectors.extend(own.into_iter().map(|own| own as u32));
    }
    Some(To::Vectors { from: From::Numbers(from), to: vectors })
}

/// Writes the rows.
pub(super) struct Choose<'a> {
    pub rows: &'a Rows,
    pub x: &'a [Lanes],
    pub y: &'a mut [Lanes],
}

impl Kernel for Choose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { rows, x, y } = self;
        let columns = rows.table.columns;
        match &rows.places {
            To::Vectors { from, to } => {
                for (slot, to) in to.chunks_exact(columns).enumerate() {
                    let mut chosen: [Option<&[Lanes]>; LANES] = [Some(&[]); LANES];
                    for (lane, own) in chosen.iter_mut().enumerate() {
                        if let Some(number) = rows.number(from, slot, lane, x) {
                            *own = rows.row(number);
                        }
                    }
                    for (block, to) in to.chunks(LANES).enumerate() {
                        let (mut own, mut turned) = ([Lanes::ZERO; LANES], [Lanes::ZERO; LANES]);
                        for (own, row) in own.iter_mut().zip(&chosen) {
                            *own = match row {
                                Some(row) => row.get(block).copied().unwrap_or(Lanes::ZERO),
                                None => Lanes([f32::NAN; LANES]),
                            };
                        }
                        V::transpose(&own, &mut turned);
                        for (to, own) in to.iter().zip(&turned) {
                            y[*to as usize] = *own;
                        }
                    }
                }
            }
            To::Numbers { from, to } => {
                for (number, to) in from.iter().zip(to.chunks_exact(columns)) {
                    let row = rows.row(at(x, *number as usize));
                    for (column, to) in to.iter().enumerate() {
                        let value = row.map_or(f32::NAN, |row| at(row, column));
                        y[*to as usize / LANES].0[*to as usize % LANES] = value;
                    }
                }
            }
        }
    }
}

//! Numbers that choose rows of a table: one-hot vectors times a matrix, `Gather`, and what is computed of rows alone, which is a
//! table again.

use super::Error;
use super::attributes::Read;
use super::formula::{Binary, Unary};
use super::tensor::{Constant, Numbers};
use super::walk::{Known, Walk};
use secateur_graph::{Embedding, MOST_PARAMETERS, Op, Value};
use std::rc::Rc;

/// Whole numbers, with their shape as the model has it.
#[derive(Clone, Debug)]
pub(super) struct Indices {
    pub of: Value,
    pub shape: Vec<usize>,
}

/// For each of some whole numbers a row of a table.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub of: Value,
    /// The shape of the numbers.
    shape: Vec<usize>,
    /// Row-major.
    table: Rc<Vec<f32>>,
    columns: usize,
}

impl Rows {
    fn new(of: &Indices, table: &Constant) -> Option<Self> {
        let (&[_, columns], Some(own)) = (&table.shape[..], table.floats()) else { return None };
        let own = (columns > 0 && !own.is_empty()).then(|| own.to_vec())?;
        Some(Self { of: of.of, shape: of.shape.clone(), table: Rc::new(own), columns })
    }

    /// The shape of all rows.
    pub(super) fn shape(&self) -> Vec<usize> {
        [&self.shape[..], &[self.columns]].concat()
    }

    /// Numbers of its table.
    pub(super) fn values(&self) -> usize {
        self.table.len()
    }

    /// A function of each number.
    pub(super) fn unary(&self, own: Unary) -> Self {
        let table = self.table.iter().map(|value| own.of(f64::from(*value)) as f32).collect();
        Self { table: Rc::new(table), ..self.clone() }
    }

    /// A function of the rows of both.
    pub(super) fn with(&self, other: &Self, own: Binary) -> Option<Self> {
        let is_alike =
            self.shape == other.shape && self.columns == other.columns && self.table.len() == other.table.len();
        let one = |(a, b): (&f32, &f32)| own.of(f64::from(*a), f64::from(*b)) as f32;
        let table = self.table.iter().zip(&*other.table).map(one).collect();
        is_alike.then(|| Self { table: Rc::new(table), ..self.clone() })
    }

    /// A function of each row and a constant: one number, or one for each column.
    pub(super) fn with_constant(&self, constant: &Constant, own: Binary, is_first: bool) -> Option<Self> {
        let values = constant.floats()?;
        let is_row = |last: &usize| *last == self.columns && values.len() == self.columns;
        if values.len() != 1 && !constant.shape.last().is_some_and(is_row) {
            return None;
        }
        let one = |(place, value): (usize, &f32)| {
            let other = f64::from(values[if values.len() == 1 { 0 } else { place % self.columns }]);
            let value = f64::from(*value);
            (if is_first { own.of(other, value) } else { own.of(value, other) }) as f32
        };
        let table = self.table.iter().enumerate().map(one).collect();
        Some(Self { table: Rc::new(table), ..self.clone() })
    }
}

impl<'a> Walk<'a> {
    /// The rows as a value of the graph.
    pub(super) fn rows(&mut self, name: &str, rows: &Rows) -> Result<Value, Error> {
        let count: usize = rows.shape.iter().product();
        let numbers = self.shaped(name, rows.of, vec![count])?;
        let own = Embedding { rows: rows.table.len() / rows.columns, columns: rows.columns };
        let value = self.add(name, Op::Embedding(own), &[numbers], vec![rows.table.to_vec()])?;
        self.shaped(name, value, rows.shape())
    }

    /// Whether each number is one of those from 0 on, as one-hot vectors are written.
    pub(super) fn equal(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let refuse = || node.refuse("expected whole numbers beside all those from 0 on, as in a one-hot vector");
        let (numbers, all) = match (self.known(node, 0)?, self.known(node, 1)?) {
            (Known::Indices(own), Known::Constant(all)) | (Known::Constant(all), Known::Indices(own)) => (own, all),
            _ => return Err(refuse()),
        };
        let Numbers::Integers(values) = &all.values else { return Err(refuse()) };
        let is_counted = values.iter().copied().eq(0..values.len() as i64) && all.shape.last() == Some(&values.len());
        match numbers.shape.split_last() {
            Some((1, shape)) if is_counted && !values.is_empty() => {
                Ok(Known::OneHot(Indices { of: numbers.of, shape: shape.to_vec() }, values.len()))
            }
            _ => Err(refuse()),
        }
    }

    /// `OneHot` with 0 and 1.
    pub(super) fn one_hot(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let Known::Indices(numbers) = self.known(node, 0)? else { return Err(node.refuse("expected whole numbers")) };
        let depth = match &self.constant(node, 1)?.values {
            Numbers::Integers(own) => own.first().copied(),
            Numbers::Floats(own) => own.first().map(|own| *own as i64),
        };
        let values = match &self.constant(node, 2)?.values {
            Numbers::Integers(own) => own.iter().map(|own| *own as f32).collect(),
            Numbers::Floats(own) => own.clone(),
        };
        let depth = depth.and_then(|own| usize::try_from(own).ok()).filter(|own| (1..=MOST_PARAMETERS).contains(own));
        match (depth, node.int("axis", -1)) {
            (Some(depth), -1) if values == [0.0, 1.0] => Ok(Known::OneHot(numbers, depth)),
            _ => Err(node.refuse("expected zeros and ones along a new last axis")),
        }
    }

    /// The rows that whole numbers choose of a constant matrix.
    pub(super) fn chosen(&mut self, node: Read<'a>, numbers: &Indices, table: &Constant) -> Result<Known, Error> {
        if node.int("axis", 0) != 0 {
            return Err(node.refuse("expected the rows of a table (axis 0)"));
        }
        let own = Rows::new(numbers, table);
        own.map(Known::Rows).ok_or_else(|| node.refuse(format!("expected a matrix of floats, found {:?}", table.shape)))
    }

    /// One-hot vectors of so many numbers times a constant matrix.
    pub(super) fn one_hot_product(&mut self, node: Read<'a>, numbers: &Indices, depth: usize) -> Result<Known, Error> {
        let table = self.constant(node, 1)?;
        if table.shape.first() != Some(&depth) {
            return Err(node.refuse(format!("expected a matrix of {depth} rows, found {:?}", table.shape)));
        }
        self.chosen(node, numbers, &table)
    }
}

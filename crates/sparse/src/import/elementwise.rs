//! Sums, differences, products and quotients.

use super::Error;
use super::attributes::Read;
use super::formula::{Binary, Formula, MOST_ALONG, Term};
use super::tensor::{Constant, Numbers};
use super::walk::{Known, Walk};
use secateur_graph::{BatchNorm, Op, Value};
use std::rc::Rc;

/// `scale x + shift`: one number for all values, or one for each channel.
#[derive(Clone, Debug)]
pub(super) struct Affine {
    /// What the last of its nodes is called.
    pub name: String,
    pub of: Value,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

impl Affine {
    /// The same for all values.
    pub(super) fn of_numbers(of: Value, scale: f32, shift: f32) -> Self {
        Self { name: String::new(), of, scale: vec![scale], shift: vec![shift] }
    }

    /// With a number, or one for each channel, behind an operator, or before it; `None` where it would divide.
    pub(super) fn with(self, operator: Binary, by: &[f32], is_first: bool) -> Option<Self> {
        let Self { name, of, scale, shift } = self;
        let (scale, shift) = match (operator, is_first) {
            (Binary::Add, _) => (scale, each(&shift, by, |own, by| own + by)),
            (Binary::Sub, false) => (scale, each(&shift, by, |own, by| own - by)),
            (Binary::Sub, true) => (each(&scale, &[0.0], |own, _| -own), each(&shift, by, |own, by| by - own)),
            (Binary::Mul, _) => (each(&scale, by, |own, by| own * by), each(&shift, by, |own, by| own * by)),
            (Binary::Div, false) => (each(&scale, by, |own, by| own / by), each(&shift, by, |own, by| own / by)),
            (Binary::Div, true) | (Binary::Max | Binary::Min | Binary::Pow, _) => return None,
        };
        Some(Self { name, of, scale, shift })
    }
}

/// Numbers with numbers, one of which may be for all.
fn each(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let at = |own: &[f32], place: usize| own[if own.len() == 1 { 0 } else { place }];
    (0..a.len().max(b.len())).map(|place| f(at(a, place), at(b, place))).collect()
}

impl Known {
    pub(super) fn formula(own: Formula) -> Self {
        Self::Formula(Rc::new(own))
    }
}

impl<'a> Walk<'a> {
    pub(super) fn arithmetic(&mut self, node: Read<'a>, operator: Binary) -> Result<Known, Error> {
        if node.0.input.len() != 2 {
            return Err(node.refuse(format!("expected two inputs, found {}", node.0.input.len())));
        }
        let (a, b) = (self.known(node, 0)?, self.known(node, 1)?);
        if let (Some((a, a_single)), Some((b, b_single))) = (a.sides(), b.sides()) {
            return whole(node, operator, &a, &b).map(|own| Known::of_sides(own, a_single && b_single));
        }
        match (a, b) {
            (Known::Constant(a), Known::Constant(b)) => constants(node, operator, &a, &b),
            (Known::Constant(constant), own) => self.with_constant(node, operator, own, 1, &constant),
            (own, Known::Constant(constant)) => self.with_constant(node, operator, own, 0, &constant),
            (Known::Rows(a), Known::Rows(b)) if a.of == b.of => {
                self.spend(node, a.values())?;
                a.with(&b, operator).map(Known::Rows).ok_or_else(|| node.refuse("expected rows of one length"))
            }
            _ => self.of_two(node, operator),
        }
    }

    /// A value, which is the input of this place, with a constant, which is the other one.
    fn with_constant(
        &mut self,
        node: Read<'a>,
        operator: Binary,
        own: Known,
        place: usize,
        constant: &Constant,
    ) -> Result<Known, Error> {
        let refuse = || {
            let found = &constant.shape;
            node.refuse(format!("expected numbers that fit the value, found a constant of shape {found:?}"))
        };
        if constant.floats().is_none() {
            return Err(node.refuse("expected floats beside a value, found whole numbers"));
        }
        if let Known::Rows(own) = own {
            self.spend(node, own.values())?;
            return own.with_constant(constant, operator, place == 1).map(Known::Rows).ok_or_else(refuse);
        }
        if let (Known::Layer(layer), Binary::Add) = (&own, operator)
            && let Some(bias) = self.bias_of(layer, constant)
        {
            return self.layer(layer, Some(bias)).map(Known::Value);
        }
        if let Known::Formula(own) = &own
            && let Some(whole) = self.formula_with(own, operator, constant, place == 1)
        {
            return Ok(Known::formula(whole));
        }
        let affine = match own {
            Known::Affine(own) if node.input(place).is_some_and(|name| self.has_one_reader(name)) => own,
            _ => Affine::of_numbers(self.value(node, place)?, 1.0, 0.0),
        };
        let shape = self.shape(affine.of);
        let Some(by) = per_channel(constant, &shape) else {
            let value = self.value(node, place)?;
            return self.along_one_side(node, operator, value, constant, place == 1)?.ok_or_else(refuse);
        };
        match affine.with(operator, &by, place == 1) {
            Some(own) => Ok(Known::Affine(Affine { name: node.short_name().to_owned(), ..own })),
            None => {
                let own = self.fresh(node, place)?;
                self.formula_with(&own, operator, constant, place == 1).map(Known::formula).ok_or_else(refuse)
            }
        }
    }

    /// A formula with a constant: one number, or one for each place along its axes; `None` where it has another shape, or the formula
    /// becomes too long.
    fn formula_with(&self, own: &Formula, operator: Binary, constant: &Constant, is_first: bool) -> Option<Formula> {
        if let Some(number) = constant.scalar() {
            return own.with_constant(operator, Term::Number(number), is_first);
        }
        let shape = self.shape(own.of);
        let axes = varying(constant, &shape).filter(|_| own.is_whole(&shape) || own.is_reduced(&shape))?;
        let mut own = own.clone();
        if own.axes.is_empty() {
            own.axes = axes;
        }
        // One number is spread over the places of the constant.
        own.shape = shape.clone();
        let along = spread(constant, &shape, &own.axes)?;
        own.with_constant(operator, Term::Along(Rc::new(along)), is_first)
    }

    /// A value with one number for each place along one of its sides, which is made the first one for it; `None` where the constant
    /// has another shape.
    fn along_one_side(
        &mut self,
        node: Read<'a>,
        operator: Binary,
        value: Value,
        constant: &Constant,
        is_first: bool,
    ) -> Result<Option<Known>, Error> {
        let shape = self.shape(value);
        let Some(axes) = varying(constant, &shape) else { return Ok(None) };
        let (&[axis], Some(by)) = (&axes[..], spread(constant, &shape, &axes)) else { return Ok(None) };
        let mut order: Vec<usize> = (0..shape.len()).filter(|own| *own != axis).collect();
        order.insert(0, axis);
        let first = self.permuted(node.short_name(), value, &order)?;
        let Some(own) = Affine::of_numbers(first, 1.0, 0.0).with(operator, &by, is_first) else { return Ok(None) };
        let own = self.affine(node.short_name(), own)?;
        let back: Vec<usize> =
            (0..order.len()).map(|axis| order.iter().position(|own| *own == axis).expect("all of them")).collect();
        self.permuted(node.short_name(), own, &back).map(|own| Some(Known::Value(own)))
    }

    /// Two values of the same image.
    fn of_two(&mut self, node: Read<'a>, operator: Binary) -> Result<Known, Error> {
        let formulas = [self.formula(node, 0)?, self.formula(node, 1)?];
        let [a, b] = &formulas;
        let is_plain = |own: &Formula| matches!(*own.term, Term::Own);
        if a.of == b.of
            && !(operator == Binary::Add && is_plain(a) && is_plain(b))
            && let Some(whole) = a.binary(operator, b, &self.shape(a.of))
        {
            return Ok(Known::formula(whole));
        }
        let inputs = [self.value(node, 0)?, self.value(node, 1)?];
        let own = self.combined(node.short_name(), operator, inputs)?;
        own.map(Known::Value).ok_or_else(|| node.refuse("expected a constant beside a value, found two values"))
    }

    /// The sum, the difference or the product of two values; `None` where it is another function of them.
    pub(super) fn combined(&mut self, name: &str, own: Binary, [a, b]: [Value; 2]) -> Result<Option<Value>, Error> {
        let (op, inputs) = match own {
            Binary::Add => (Op::Add, [a, b]),
            Binary::Sub => (Op::Add, [a, self.affine(name, Affine::of_numbers(b, -1.0, 0.0))?]),
            Binary::Mul => {
                // The factors of channels come second.
                let count = |own: Value| self.builder.shape(own).iter().product::<usize>();
                (Op::Mul, if count(a) < count(b) { [b, a] } else { [a, b] })
            }
            Binary::Div | Binary::Max | Binary::Min | Binary::Pow => return Ok(None),
        };
        self.add(name, op, &inputs, vec![]).map(Some)
    }

    /// Factors and summands as a node of the graph.
    pub(super) fn affine(&mut self, name: &str, affine: Affine) -> Result<Value, Error> {
        let Affine { name: own, of, scale, shift } = affine;
        let channels = self.shape(of)[0];
        let spread = |own: Vec<f32>| if own.len() == 1 { vec![own[0]; channels] } else { own };
        let values = vec![spread(scale), spread(shift), vec![0.0; channels], vec![1.0; channels]];
        let norm = BatchNorm { epsilon: 0.0, ..BatchNorm::default() };
        self.add(if own.is_empty() { name } else { &own }, Op::BatchNorm(norm), &[of], values)
    }
}

/// One number, or one for each channel, of a constant that is spread over a value of this shape.
pub(super) fn per_channel(constant: &Constant, shape: &[usize]) -> Option<Vec<f32>> {
    let values = constant.floats()?;
    if values.len() == 1 && constant.shape.len() <= shape.len() + 1 {
        return Some(values.to_vec());
    }
    (varying(constant, shape)? == [0] && values.len() == shape[0]).then(|| values.to_vec())
}

/// The sides of a value of this shape along which a constant beside it varies; `None` where it does not fit.
fn varying(constant: &Constant, shape: &[usize]) -> Option<Vec<usize>> {
    let found = constant.shape.len();
    // Axes are counted from the last one; a batch of 1 may stand before the first.
    let mut axes = vec![];
    for (place, side) in constant.shape.iter().rev().enumerate().filter(|(_, side)| **side != 1) {
        let axis = shape.len().checked_sub(place + 1)?;
        if shape[axis] != *side {
            return None;
        }
        axes.insert(0, axis);
    }
    (found <= shape.len() + 1).then_some(axes)
}

/// The numbers of a constant beside a value of this shape, one for each place along these axes.
fn spread(constant: &Constant, shape: &[usize], axes: &[usize]) -> Option<Vec<f32>> {
    let (values, own) = (constant.floats()?, varying(constant, shape)?);
    if !own.iter().all(|axis| axes.contains(axis)) {
        return None;
    }
    let count = axes.iter().try_fold(1usize, |all, axis| all.checked_mul(shape[*axis]))?;
    if count > MOST_ALONG {
        return None;
    }
    let one = |place: usize| {
        let (mut rest, mut at, mut by) = (place, 0, 1);
        for axis in axes.iter().rev() {
            if own.contains(axis) {
                at += rest % shape[*axis] * by;
                by *= shape[*axis];
            }
            rest /= shape[*axis];
        }
        values[at]
    };
    (values.len() == own.iter().map(|axis| shape[*axis]).product::<usize>()).then(|| (0..count).map(one).collect())
}

/// Whole numbers with whole numbers.
fn whole(node: Read<'_>, operator: Binary, a: &[Option<i64>], b: &[Option<i64>]) -> Result<Vec<Option<i64>>, Error> {
    let count = a.len().max(b.len());
    let at = |own: &[Option<i64>], place: usize| *own.get(if own.len() == 1 { 0 } else { place })?;
    let one = |place: usize| {
        let (a, b) = (at(a, place)?, at(b, place)?);
        match operator {
            Binary::Add => a.checked_add(b),
            Binary::Sub => a.checked_sub(b),
            Binary::Mul => a.checked_mul(b),
            Binary::Div => a.checked_div(b),
            Binary::Max => Some(a.max(b)),
            Binary::Min => Some(a.min(b)),
            Binary::Pow => a.checked_pow(u32::try_from(b).ok()?),
        }
    };
    let refuse = || node.refuse("expected whole numbers that do not depend on the batch, and a result that is one");
    (0..count).map(|place| one(place).map(Some).ok_or_else(refuse)).collect()
}

/// Floats with floats.
fn constants(node: Read<'_>, operator: Binary, a: &Constant, b: &Constant) -> Result<Known, Error> {
    let (Some(x), Some(y)) = (a.floats(), b.floats()) else {
        return Err(node.refuse("expected floats with floats, found whole numbers on one side"));
    };
    let shape = match (x.len(), y.len()) {
        (0, _) | (_, 0) => return Err(node.refuse("expected constants, found one without values")),
        (_, 1) if a.shape.len() >= b.shape.len() => &a.shape,
        (1, _) if b.shape.len() >= a.shape.len() => &b.shape,
        _ if a.shape == b.shape => &a.shape,
        _ => return Err(node.refuse(format!("expected constants of one shape, found {:?} and {:?}", a.shape, b.shape))),
    };
    let values = each(x, y, |x, y| operator.of(x.into(), y.into()) as f32);
    Ok(Known::constant(Constant { shape: shape.clone(), values: Numbers::Floats(values) }))
}

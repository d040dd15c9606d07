//! Sums, differences, products and quotients.

use super::Error;
use super::attributes::Read;
use super::functions::{self, Next};
use super::tensor::{Constant, Numbers};
use super::walk::{Known, Walk};
use secateur_graph::{BatchNorm, Op, Value};

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
    /// Whether it is this for all values.
    pub(super) fn is(&self, scale: f32, shift: f32) -> bool {
        let (&[own_scale], &[own_shift]) = (&self.scale[..], &self.shift[..]) else { return false };
        functions::is(own_scale, scale) && functions::is(own_shift, shift)
    }
}

/// Numbers with numbers, one of which may be for all.
fn each(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let at = |own: &[f32], place: usize| own[if own.len() == 1 { 0 } else { place }];
    (0..a.len().max(b.len())).map(|place| f(at(a, place), at(b, place))).collect()
}

impl<'a> Walk<'a> {
    pub(super) fn arithmetic(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let (a, b) = (self.known(node, 0)?, self.known(node, 1)?);
        if let (Some((a, a_single)), Some((b, b_single))) = (a.sides(), b.sides()) {
            return whole(node, &a, &b).map(|own| Known::of_sides(own, a_single && b_single));
        }
        match (a, b) {
            (Known::Constant(a), Known::Constant(b)) => constants(node, &a, &b),
            (Known::Constant(constant), own) => self.with_constant(node, own, 1, &constant),
            (own, Known::Constant(constant)) => self.with_constant(node, own, 0, &constant),
            (a, b) => self.of_two(node, a, b),
        }
    }

    /// A value, which is the input of this place, with a constant, which is the other one.
    fn with_constant(&mut self, node: Read<'a>, own: Known, place: usize, constant: &Constant) -> Result<Known, Error> {
        let operator = node.operator();
        let refuse = || {
            let found = &constant.shape;
            node.refuse(format!("expected one number, or one for each channel, found a constant of shape {found:?}"))
        };
        if constant.floats().is_none() {
            return Err(node.refuse("expected floats beside a value, found whole numbers"));
        }
        if let (Known::Part(value, part), Some(by)) = (&own, constant.scalar()) {
            let next = functions::with_constant(*part, operator, by, place == 0);
            return self.next(node, *value, next);
        }
        if let (Known::Layer(layer), "Add") = (&own, operator) {
            let shape = layer_shape(self, layer);
            if let Some(bias) = per_channel(constant, &shape) {
                let bias = if bias.len() == 1 { vec![bias[0]; layer.outputs] } else { bias };
                return self.layer(layer, Some(bias)).map(Known::Value);
            }
        }
        let affine = match own {
            Known::Affine(own) if node.input(place).is_some_and(|name| self.has_one_reader(name)) => own,
            _ => {
                let of = self.value(node, place)?;
                Affine { name: String::new(), of, scale: vec![1.0], shift: vec![0.0] }
            }
        };
        let by = per_channel(constant, &self.shape(affine.of)).ok_or_else(refuse)?;
        let Affine { of, scale, shift, .. } = affine;
        let (scale, shift) = match (operator, place) {
            ("Add", _) => (scale, each(&shift, &by, |own, by| own + by)),
            ("Sub", 0) => (scale, each(&shift, &by, |own, by| own - by)),
            ("Sub", _) => (each(&scale, &[0.0], |own, _| -own), each(&shift, &by, |own, by| by - own)),
            ("Mul", _) => (each(&scale, &by, |own, by| own * by), each(&shift, &by, |own, by| own * by)),
            ("Div", 0) => (each(&scale, &by, |own, by| own / by), each(&shift, &by, |own, by| own / by)),
            _ => return Err(node.refuse("expected a value that is divided, found one that divides")),
        };
        Ok(Known::Affine(Affine { name: node.short_name().to_owned(), of, scale, shift }))
    }

    /// Two values of the same image.
    fn of_two(&mut self, node: Read<'a>, a: Known, b: Known) -> Result<Known, Error> {
        match node.operator() {
            "Mul" => {
                let (value, next) = functions::product(&a, &b);
                match value {
                    Some(value) => self.next(node, value, next),
                    None => Err(node.refuse("the product of two values is supported as a part of an activation only")),
                }
            }
            "Add" => {
                let inputs = [self.value(node, 0)?, self.value(node, 1)?];
                self.add(node.short_name(), Op::Add, &inputs, vec![]).map(Known::Value)
            }
            _ => Err(node.refuse("expected a constant beside a value, found two values")),
        }
    }

    /// What becomes of a part of an activation.
    fn next(&mut self, node: Read<'a>, value: Value, next: Option<Next>) -> Result<Known, Error> {
        match next {
            Some(Next::Part(part)) => Ok(Known::Part(value, part)),
            Some(Next::Whole(activation)) => self.activation(node, activation, value),
            None => Err(node.refuse("expected a part of gelu, silu or hard-swish, found a product that is none")),
        }
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

/// The shape of what a layer gives, as far as its channels and its rank go.
fn layer_shape(walk: &Walk<'_>, layer: &super::layers::Layer) -> Vec<usize> {
    let mut shape = walk.shape(layer.input);
    shape[0] = layer.outputs;
    shape
}

/// One number, or one for each channel, of a constant that is spread over a value of this shape.
fn per_channel(constant: &Constant, shape: &[usize]) -> Option<Vec<f32>> {
    let values = constant.floats()?;
    if values.len() == 1 && constant.shape.len() <= shape.len() + 1 {
        return Some(values.to_vec());
    }
    // Axes are counted from the last one.
    let own = constant.shape.iter().rev().enumerate();
    let fits = own.fold(constant.shape.len() <= shape.len() + 1, |fits, (axis, side)| {
        fits && if axis + 1 == shape.len() { *side == shape[0] } else { *side == 1 }
    });
    (fits && values.len() == shape[0]).then(|| values.to_vec())
}

/// Whole numbers with whole numbers.
fn whole(node: Read<'_>, a: &[Option<i64>], b: &[Option<i64>]) -> Result<Vec<Option<i64>>, Error> {
    let count = a.len().max(b.len());
    let at = |own: &[Option<i64>], place: usize| *own.get(if own.len() == 1 { 0 } else { place })?;
    let one = |place: usize| {
        let (a, b) = (at(a, place)?, at(b, place)?);
        match node.operator() {
            "Add" => a.checked_add(b),
            "Sub" => a.checked_sub(b),
            "Mul" => a.checked_mul(b),
            _ => a.checked_div(b),
        }
    };
    let refuse = || node.refuse("expected whole numbers that do not depend on the batch, and a result that is one");
    (0..count).map(|place| one(place).map(Some).ok_or_else(refuse)).collect()
}

/// Floats with floats.
fn constants(node: Read<'_>, a: &Constant, b: &Constant) -> Result<Known, Error> {
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
    let values = each(x, y, |x, y| match node.operator() {
        "Add" => x + y,
        "Sub" => x - y,
        "Mul" => x * y,
        _ => x / y,
    });
    Ok(Known::constant(Constant { shape: shape.clone(), values: Numbers::Floats(values) }))
}

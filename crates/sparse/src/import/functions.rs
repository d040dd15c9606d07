//! Functions of one value, and what formulas become in the graph.

use super::Error;
use super::attributes::Read;
use super::elementwise::Affine;
use super::formula::{Binary, Formula, Reduction, Term, Unary};
use super::recognise::{self, Recognised};
use super::shapes::side;
use super::tensor::{Constant, Numbers};
use super::walk::{Known, Walk};
use secateur_graph::{Activation, LayerNorm, Op, Pool, PoolKind, Value, Window};
use std::rc::Rc;

/// Parts of a formula that are tried at most, the largest first.
const MOST_PARTS: usize = 24;

impl<'a> Walk<'a> {
    /// Adds an activation.
    fn activation(&mut self, node: Read<'a>, own: Activation, of: Value) -> Result<Known, Error> {
        self.add(node.short_name(), Op::Activation(own), &[of], vec![]).map(Known::Value)
    }

    pub(super) fn function(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let own = match node.operator() {
            "Relu" => Unary::Activation(Activation::Relu),
            "Sigmoid" => Unary::Activation(Activation::Sigmoid),
            "Tanh" => Unary::Activation(Activation::Tanh),
            "HardSwish" => Unary::Activation(Activation::HardSwish),
            "Gelu" => match node.text("approximate") {
                "" | "none" => Unary::Activation(Activation::Gelu),
                "tanh" => Unary::Activation(Activation::GeluTanh),
                other => return Err(node.refuse(format!("expected `none` or `tanh`, found `{other}`"))),
            },
            "HardSigmoid" => {
                Unary::HardSigmoid([node.float("alpha").unwrap_or(0.2), node.float("beta").unwrap_or(0.5)])
            }
            "Clip" => self.clip(node)?,
            "Erf" => Unary::Erf,
            "Exp" => Unary::Exp,
            "Sqrt" => Unary::Sqrt,
            "Reciprocal" => Unary::Reciprocal,
            "Neg" => Unary::Neg,
            _ => Unary::Abs,
        };
        match self.known(node, 0)? {
            Known::Constant(constant) => {
                let values = constant.floats().ok_or_else(|| node.refuse("expected floats, found whole numbers"))?;
                let values = values.iter().map(|value| own.of(f64::from(*value)) as f32).collect();
                Ok(Known::constant(Constant { shape: constant.shape.clone(), values: Numbers::Floats(values) }))
            }
            Known::Rows(rows) => {
                self.spend(node, rows.values())?;
                Ok(Known::Rows(rows.unary(own)))
            }
            // What is an operation by itself needs no formula.
            _ if let Unary::Activation(activation @ (Activation::Relu | Activation::Gelu | Activation::HardSwish)) =
                own =>
            {
                let value = self.value(node, 0)?;
                self.activation(node, activation, value)
            }
            _ => {
                let long = self.formula(node, 0)?;
                let formula = match long.unary(own) {
                    Some(own) => own,
                    None => self.fresh(node, 0)?.unary(own).expect("a few terms"),
                };
                Ok(Known::formula(formula))
            }
        }
    }

    fn clip(&mut self, node: Read<'a>) -> Result<Unary, Error> {
        let bound = |walk: &Self, place: usize, otherwise: f32| match node.input(place) {
            Some(_) => match walk.constant(node, place)?.scalar() {
                Some(own) => Ok(own),
                None => Err(node.refuse("expected bounds that are one number each")),
            },
            None => Ok(otherwise),
        };
        Ok(Unary::Clip([bound(self, 1, f32::NEG_INFINITY)?, bound(self, 2, f32::INFINITY)?]))
    }

    /// Means, sums and largest values along some axes.
    pub(super) fn reduction(&mut self, node: Read<'a>, own: Reduction) -> Result<Known, Error> {
        let mut formula = self.formula(node, 0)?;
        if !formula.is_whole(&self.shape(formula.of)) {
            formula = self.rebased(node, &formula)?;
        }
        let base = self.shape(formula.of);
        let mut axes = vec![];
        for own in self.list(node, 1, "axes")?.unwrap_or_default() {
            let own = side(node, own, base.len())?;
            if axes.contains(&own) {
                return Err(node.refuse("expected axes behind the batch, each once"));
            }
            axes.push(own);
        }
        if axes.is_empty() {
            return Err(node.refuse("expected axes, found none"));
        }
        axes.sort_unstable();
        let keeps = node.int("keepdims", 1) != 0;
        let kept = |(axis, side): (usize, &usize)| match axes.contains(&axis) {
            true => keeps.then_some(1),
            false => Some(*side),
        };
        let shape: Vec<usize> = base.iter().enumerate().filter_map(kept).collect();
        let whole = match formula.reduced(own, axes.clone(), shape.clone()) {
            Some(own) => own,
            None => self.fresh(node, 0)?.reduced(own, axes, shape).expect("a few terms"),
        };
        Ok(Known::formula(whole))
    }

    /// The first input, a formula of what was reduced, as a formula of what that gives.
    fn rebased(&mut self, node: Read<'a>, formula: &Formula) -> Result<Formula, Error> {
        let is_reduced = |own: &Rc<Term>| matches!(**own, Term::Reduced(..));
        let parts = formula.term.parts().into_iter().filter(is_reduced);
        let whole = parts.filter_map(|own| Some((Rc::clone(&own), formula.term.around(&own)?))).next();
        let Some((part, outer)) = whole else { return self.fresh(node, 0) };
        let refuse = |error: Error| node.refuse(error.to_string());
        let value = self.term(node.short_name(), formula, &part).map_err(refuse)?;
        let value = self.shaped(node.short_name(), value, formula.shape.clone())?;
        let own = Formula::own(value, self.shape(value)).around(outer);
        // Whoever reads it beside this reads it as the same formula.
        self.learn(node.input(0).expect("it is known"), Known::formula(own.clone()));
        Ok(own)
    }

    /// An input as a value of the graph, for a formula to begin with.
    pub(super) fn fresh(&mut self, node: Read<'a>, place: usize) -> Result<Formula, Error> {
        let value = self.value(node, place)?;
        Ok(Formula::own(value, self.shape(value)))
    }

    /// What is known of an input as a formula of a value.
    pub(super) fn formula(&mut self, node: Read<'a>, place: usize) -> Result<Formula, Error> {
        match self.known(node, place)? {
            Known::Formula(own) => Ok((*own).clone()),
            Known::Affine(Affine { of, scale, shift, .. }) if scale.len() == 1 && shift.len() == 1 => {
                let own = Formula::own(of, self.shape(of));
                let scaled = own.with_constant(Binary::Mul, Term::Number(scale[0]), false);
                let shifted = scaled.and_then(|own| own.with_constant(Binary::Add, Term::Number(shift[0]), false));
                Ok(shifted.expect("a few terms"))
            }
            _ => self.fresh(node, place),
        }
    }

    /// A formula as a value of the graph.
    pub(super) fn compiled(&mut self, name: &str, formula: &Formula) -> Result<Value, Error> {
        let value = self.term(name, formula, &formula.term)?;
        self.shaped(name, value, formula.shape.clone())
    }

    /// A part of a formula as a value of the graph; reduced axes have a side of 1.
    fn term(&mut self, name: &str, formula: &Formula, term: &Rc<Term>) -> Result<Value, Error> {
        if matches!(**term, Term::Own) {
            return Ok(formula.of);
        }
        let shape = self.shape(formula.of);
        let count = formula.axes.iter().map(|axis| shape[*axis]).fold(1usize, usize::saturating_mul);
        self.spend_on_recognising(term, count)?;
        if let Some(own) = recognise::whole(term, count) {
            return self.recognised(name, own, formula, formula.of);
        }
        // It may be one of what another part gives.
        for inner in term.parts().into_iter().take(MOST_PARTS) {
            self.spend_on_recognising(term, count)?;
            let outer = term.around(&inner).and_then(|outer| recognise::whole(&outer, count));
            let is_alone = |own: &Recognised| !matches!(own, Recognised::Activation(_)) && !inner.is_whole(count);
            if let Some(own) = outer.filter(|own| !is_alone(own)) {
                let of = self.term(name, formula, &inner)?;
                return self.recognised(name, own, formula, of);
            }
        }
        match &**term {
            Term::Reduced(own, inner) => {
                let inner = self.term(name, formula, inner)?;
                self.reduced(name, *own, inner, &formula.axes)
            }
            // Another slope, or other bounds, are those of an activation between factors and summands.
            Term::Unary(Unary::HardSigmoid([slope, shift]), inner) => {
                let inner = self.term(name, formula, inner)?;
                let scaled = self.affine(name, Affine::of_numbers(inner, 6.0 * slope, 6.0 * (shift - 0.5)))?;
                self.add(name, Op::Activation(Activation::HardSigmoid), &[scaled], vec![])
            }
            Term::Unary(Unary::Clip([low, high]), inner) if low < high && low.is_finite() && high.is_finite() => {
                let inner = self.term(name, formula, inner)?;
                let scale = 6.0 / (high - low);
                let scaled = self.affine(name, Affine::of_numbers(inner, scale, -low * scale))?;
                let clipped = self.add(name, Op::Activation(Activation::Relu6), &[scaled], vec![])?;
                self.affine(name, Affine::of_numbers(clipped, 1.0 / scale, *low))
            }
            Term::Unary(Unary::Neg, inner) => {
                let inner = self.term(name, formula, inner)?;
                self.affine(name, Affine::of_numbers(inner, -1.0, 0.0))
            }
            Term::Binary(own, a, b) => self.of_terms(name, formula, *own, [a, b]),
            other => Err(unsupported(other)),
        }
    }

    /// Counts what it takes to tell what a formula is, so that no model takes hours to be read.
    fn spend_on_recognising(&mut self, term: &Term, count: usize) -> Result<(), Error> {
        let work = term.count().saturating_mul(count.max(recognise::LEAST_NUMBERS)) as u64;
        self.left_to_recognise = self
            .left_to_recognise
            .checked_sub(work)
            .ok_or_else(|| Error::Model("its formulas are too many and too long to be recognised".into()))?;
        Ok(())
    }

    /// Adds what a formula was recognised as, of this value.
    fn recognised(&mut self, name: &str, own: Recognised, formula: &Formula, of: Value) -> Result<Value, Error> {
        let axes: Vec<usize> = formula.axes.iter().map(|own| self.graph_axis(of, *own)).collect();
        match own {
            Recognised::Activation(own) => self.add(name, Op::Activation(own), &[of], vec![]),
            Recognised::Normalisation { scale, shift, epsilon } => {
                self.add(name, Op::LayerNorm(LayerNorm { axes, epsilon }), &[of], vec![scale, shift])
            }
            Recognised::Softmax => match axes[..] {
                [axis] => self.add(name, Op::Softmax(axis), &[of], vec![]),
                _ => Err(Error::Model("a softmax is supported along one axis only".into())),
            },
        }
    }

    fn of_terms(&mut self, name: &str, formula: &Formula, own: Binary, [a, b]: [&Rc<Term>; 2]) -> Result<Value, Error> {
        let whole = Term::Binary(own, Rc::clone(a), Rc::clone(b));
        let numbers = |term: &Term| match term {
            Term::Number(own) => Some(vec![*own]),
            Term::Along(own) if formula.axes == [0] => Some(own.to_vec()),
            _ => None,
        };
        let (inner, by, is_first) = match (numbers(a), numbers(b)) {
            (None, Some(by)) => (a, by, false),
            (Some(by), None) => (b, by, true),
            (Some(_), Some(_)) => return Err(unsupported(&whole)),
            (None, None) => {
                let inputs = [self.term(name, formula, a)?, self.term(name, formula, b)?];
                return self.combined(name, own, inputs)?.ok_or_else(|| unsupported(&whole));
            }
        };
        let of = self.term(name, formula, inner)?;
        let affine = Affine::of_numbers(of, 1.0, 0.0).with(own, &by, is_first).ok_or_else(|| unsupported(&whole))?;
        self.affine(name, affine)
    }

    /// The mean, the sum or the largest value of each channel.
    fn reduced(&mut self, name: &str, own: Reduction, of: Value, axes: &[usize]) -> Result<Value, Error> {
        let shape = self.shape(of);
        let &[_, height, width] = self.builder.shape(of) else { return Err(not_of_channels(axes, &shape)) };
        if shape.len() < 2 || !axes.iter().copied().eq(1..shape.len()) {
            return Err(not_of_channels(axes, &shape));
        }
        match own {
            Reduction::Mean => self.add(name, Op::GlobalAveragePool, &[of], vec![]),
            Reduction::Max => self.largest(name, of),
            Reduction::Sum => {
                let mean = self.add(name, Op::GlobalAveragePool, &[of], vec![])?;
                self.affine(name, Affine::of_numbers(mean, (height * width) as f32, 0.0))
            }
        }
    }

    /// The largest value of each channel of an image.
    pub(super) fn largest(&mut self, name: &str, of: Value) -> Result<Value, Error> {
        // As the image was before sides of 1 came or went.
        let inner = self.before_reshape(&Op::GlobalAveragePool, of).unwrap_or(of);
        let sides = [1, 2].map(|axis| self.builder.shape(inner)[axis]);
        let window = Window { stride: sides, size: sides, ..Window::square(1) };
        let own = self.add(name, Op::Pool(Pool { kind: PoolKind::Max, window }), &[inner], vec![])?;
        self.mark(own, self.is_line(of));
        Ok(own)
    }

    pub(super) fn softmax(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let value = self.value(node, 0)?;
        let shape = self.shape(value);
        let axis = self.graph_axis(value, side(node, node.int("axis", -1), shape.len())?);
        self.add(node.short_name(), Op::Softmax(axis), &[value], vec![]).map(Known::Value)
    }

    pub(super) fn layer_norm(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let value = self.value(node, 0)?;
        let shape = self.shape(value);
        let first = side(node, node.int("axis", -1), shape.len())?;
        let count: usize = shape[first..].iter().product();
        let scale = self.floats(node, 1)?;
        let shift = node.input(2).map_or_else(|| Ok(vec![0.0; count]), |_| self.floats(node, 2))?;
        if [scale.len(), shift.len()] != [count; 2] {
            let found = [scale.len(), shift.len()];
            return Err(node.refuse(format!("expected {count} numbers for scale and bias, found {found:?}")));
        }
        let axes = (first..shape.len()).map(|own| self.graph_axis(value, own)).collect();
        let own = LayerNorm { axes, epsilon: f64::from(node.float("epsilon").unwrap_or(1e-5)) };
        self.add(node.layer_name(), Op::LayerNorm(own), &[value], vec![scale, shift]).map(Known::Value)
    }
}

fn unsupported(term: &Term) -> Error {
    Error::Model(format!("{term} is supported as a part of an activation, of layer normalisation or of a softmax only"))
}

fn not_of_channels(axes: &[usize], shape: &[usize]) -> Error {
    let axes: Vec<usize> = axes.iter().map(|own| own + 1).collect();
    Error::Model(format!(
        "expected the mean of each channel, or a part of layer normalisation or of a softmax, found that of {shape:?} over the axes \
         {axes:?}"
    ))
}

//! Formulas of the numbers of one value. Exporters write activations, layer normalisation and softmax in many ways, so a formula
//! is kept until its value is needed, and then told by what it gives for chosen numbers (`recognise.rs`), not by its form.

use secateur_graph::{Activation, Value, erf};
use std::fmt;
use std::rc::Rc;

/// Terms of a formula at most, one that is used twice counted twice.
const MOST_TERMS: usize = 256;

/// Numbers along the axes of a formula at most, to be told what it is.
pub(super) const MOST_ALONG: usize = 1 << 16;

/// A formula of a value.
#[derive(Clone, Debug)]
pub(super) struct Formula {
    pub of: Value,
    /// The sides that are reduced, or along which constants lie, counted as the model has them without the batch; none where each
    /// number is computed by itself.
    pub axes: Vec<usize>,
    /// The shape of what it gives, as the model has it.
    pub shape: Vec<usize>,
    pub term: Rc<Term>,
    terms: usize,
}

/// A part of a formula: for the numbers along its axes as many numbers, or one.
#[derive(Clone, Debug)]
pub(super) enum Term {
    /// The numbers themselves.
    Own,
    Number(f32),
    /// One number for each place along the axes.
    Along(Rc<Vec<f32>>),
    Unary(Unary, Rc<Term>),
    Binary(Binary, Rc<Term>, Rc<Term>),
    Reduced(Reduction, Rc<Term>),
}

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unary {
    Activation(Activation),
    /// `min(max(x, low), high)`.
    Clip([f32; 2]),
    /// `min(max(slope x + shift, 0), 1)`.
    HardSigmoid([f32; 2]),
    Erf,
    Exp,
    Sqrt,
    Reciprocal,
    Neg,
    Abs,
}

impl Unary {
    pub(super) fn of(self, x: f64) -> f64 {
        match self {
            // As exactly as the others, not rounded to f32.
            Self::Activation(Activation::Sigmoid) => 1.0 / (1.0 + (-x).exp()),
            Self::Activation(Activation::Tanh) => x.tanh(),
            Self::Activation(own) => f64::from(own.of(x as f32)),
            // `clamp` would panic where the bounds are the wrong way round.
            Self::Clip([low, high]) => x.max(low.into()).min(high.into()),
            Self::HardSigmoid([slope, shift]) => (f64::from(slope) * x + f64::from(shift)).clamp(0.0, 1.0),
            Self::Erf => erf(x),
            Self::Exp => x.exp(),
            Self::Sqrt => x.sqrt(),
            Self::Reciprocal => 1.0 / x,
            Self::Neg => -x,
            Self::Abs => x.abs(),
        }
    }
}

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Pow,
}

impl Binary {
    /// That of an operator.
    pub(super) fn named(operator: &str) -> Option<Self> {
        Some(match operator {
            "Add" => Self::Add,
            "Sub" => Self::Sub,
            "Mul" => Self::Mul,
            "Div" => Self::Div,
            "Max" => Self::Max,
            "Min" => Self::Min,
            "Pow" => Self::Pow,
            _ => return None,
        })
    }

    pub(super) fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Max => a.max(b),
            Self::Min => a.min(b),
            Self::Pow => a.powf(b),
        }
    }
}

/// What becomes of the numbers along the axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduction {
    Mean,
    Sum,
    Max,
}

impl Formula {
    /// The numbers of a value of this shape.
    pub(super) fn own(of: Value, shape: Vec<usize>) -> Self {
        Self { of, axes: vec![], shape, term: Rc::new(Term::Own), terms: 1 }
    }

    /// Whether it gives as many numbers as the value has, for a value of this shape.
    pub(super) fn is_whole(&self, shape: &[usize]) -> bool {
        self.shape == shape
    }

    /// Whether it gives one number for all along its axes, whose sides are left as 1, for a value of this shape.
    pub(super) fn is_reduced(&self, shape: &[usize]) -> bool {
        self.shape == reduced(shape, &self.axes)
    }

    /// A function of it; `None` when it becomes too long.
    pub(super) fn unary(&self, own: Unary) -> Option<Self> {
        self.with(Term::Unary(own, Rc::clone(&self.term)), 1)
    }

    /// A function of it and a constant, which is the second unless it `is_first`.
    pub(super) fn with_constant(&self, own: Binary, constant: Term, is_first: bool) -> Option<Self> {
        let (a, b) = (Rc::clone(&self.term), Rc::new(constant));
        let [a, b] = if is_first { [b, a] } else { [a, b] };
        self.with(Term::Binary(own, a, b), 2)
    }

    /// A function of both, which are of one value, of this shape; `None` when they do not fit together or it becomes too long.
    pub(super) fn binary(&self, own: Binary, other: &Self, shape: &[usize]) -> Option<Self> {
        let axes = match (self.axes.is_empty(), other.axes.is_empty()) {
            (_, true) => &self.axes,
            (true, _) => &other.axes,
            _ if self.axes == other.axes => &self.axes,
            _ => return None,
        };
        // One number for all along the axes is spread over them where it stands beside all.
        let reduced = reduced(shape, axes);
        let given = match (&self.shape, &other.shape) {
            (a, b) if a == b => a,
            (a, b) if a == shape && *b == reduced => a,
            (a, b) if *a == reduced && b == shape => b,
            _ => return None,
        };
        let term = Term::Binary(own, Rc::clone(&self.term), Rc::clone(&other.term));
        let terms = self.terms.saturating_add(other.terms).saturating_add(1);
        let whole = Self { of: self.of, axes: axes.clone(), shape: given.clone(), term: Rc::new(term), terms };
        (terms <= MOST_TERMS).then_some(whole)
    }

    /// Its numbers along these axes as one; `None` where it has other axes already, or becomes too long.
    pub(super) fn reduced(&self, own: Reduction, axes: Vec<usize>, shape: Vec<usize>) -> Option<Self> {
        let fits = self.axes.is_empty() || self.axes == axes;
        let term = Term::Reduced(own, Rc::clone(&self.term));
        self.with(term, 1).filter(|_| fits).map(|own| Self { axes, shape, ..own })
    }

    /// The same of another term, of the same value.
    pub(super) fn around(self, term: Term) -> Self {
        Self { terms: term.count(), term: Rc::new(term), ..self }
    }

    fn with(&self, term: Term, more: usize) -> Option<Self> {
        let terms = self.terms + more;
        (terms <= MOST_TERMS).then(|| Self { term: Rc::new(term), terms, ..self.clone() })
    }
}

/// The shape of what is one number along some axes.
fn reduced(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    shape.iter().enumerate().map(|(axis, side)| if axes.contains(&axis) { 1 } else { *side }).collect()
}

/// What a term is computed of.
fn inner(own: &Term) -> Vec<&Rc<Term>> {
    match own {
        Term::Own | Term::Number(_) | Term::Along(_) => vec![],
        Term::Unary(_, own) | Term::Reduced(_, own) => vec![own],
        Term::Binary(_, a, b) => vec![a, b],
    }
}

impl Term {
    /// Whether each number is computed by itself.
    pub(super) fn is_elementwise(&self) -> bool {
        match self {
            Self::Own | Self::Number(_) => true,
            Self::Along(_) | Self::Reduced(..) => false,
            Self::Unary(_, own) => own.is_elementwise(),
            Self::Binary(_, a, b) => a.is_elementwise() && b.is_elementwise(),
        }
    }

    /// Whether it gives as many numbers as there are along its axes.
    pub(super) fn is_whole(&self, count: usize) -> bool {
        match self {
            Self::Own | Self::Along(_) => true,
            Self::Number(_) | Self::Reduced(..) => count == 1,
            Self::Unary(_, own) => own.is_whole(count),
            Self::Binary(_, a, b) => a.is_whole(count) || b.is_whole(count),
        }
    }

    /// How many terms it has, one that is used twice counted twice.
    pub(super) fn count(&self) -> usize {
        inner(self).into_iter().map(|own| own.count()).sum::<usize>() + 1
    }

    /// The parts that are computed of others, each once, the largest first.
    pub(super) fn parts(&self) -> Vec<Rc<Self>> {
        fn gather(own: &Rc<Term>, found: &mut Vec<(usize, Rc<Term>)>) -> usize {
            if let Some((size, _)) = found.iter().find(|(_, other)| Rc::ptr_eq(other, own)) {
                return *size;
            }
            let size = inner(own).into_iter().map(|own| gather(own, found)).sum::<usize>() + 1;
            if size > 1 {
                found.push((size, Rc::clone(own)));
            }
            size
        }
        let mut found = vec![];
        inner(self).into_iter().for_each(|own| _ = gather(own, &mut found));
        found.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
        found.into_iter().map(|(_, own)| own).collect()
    }

    /// What is computed of one of its parts, as a formula of that; `None` where the numbers themselves are read beside it.
    pub(super) fn around(&self, part: &Rc<Self>) -> Option<Self> {
        let of = |own: &Rc<Self>| match Rc::ptr_eq(own, part) {
            true => Some(Rc::new(Self::Own)),
            false => own.around(part).map(Rc::new),
        };
        Some(match self {
            Self::Own => return None,
            Self::Number(own) => Self::Number(*own),
            Self::Along(own) => Self::Along(Rc::clone(own)),
            Self::Unary(f, own) => Self::Unary(*f, of(own)?),
            Self::Binary(f, a, b) => Self::Binary(*f, of(a)?, of(b)?),
            Self::Reduced(f, own) => Self::Reduced(*f, of(own)?),
        })
    }

    /// What it gives for these numbers along its axes: as many, or one.
    pub(super) fn of(&self, numbers: &[f64]) -> Vec<f64> {
        match self {
            Self::Own => numbers.to_vec(),
            Self::Number(own) => vec![f64::from(*own)],
            Self::Along(own) => own.iter().map(|own| f64::from(*own)).collect(),
            Self::Unary(f, own) => own.of(numbers).into_iter().map(|own| f.of(own)).collect(),
            Self::Binary(f, a, b) => {
                let (a, b) = (a.of(numbers), b.of(numbers));
                let at = |own: &[f64], place: usize| own[if own.len() == 1 { 0 } else { place }];
                (0..a.len().max(b.len())).map(|place| f.of(at(&a, place), at(&b, place))).collect()
            }
            Self::Reduced(f, own) => {
                let own = own.of(numbers);
                vec![match (f, &own[..]) {
                    // One number stands for all of them.
                    (Reduction::Sum, [only]) => numbers.len() as f64 * only,
                    (Reduction::Sum, all) => all.iter().sum(),
                    (Reduction::Mean, all) => all.iter().sum::<f64>() / all.len() as f64,
                    (Reduction::Max, all) => all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                }]
            }
        }
    }
}

/// What it begins with, for an error.
impl fmt::Display for Term {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Own => "a value",
            Self::Number(_) | Self::Along(_) => "a constant",
            Self::Unary(Unary::Activation(own), _) => return write!(out, "a {}", own.word()),
            Self::Unary(Unary::Clip(_), _) => "a value between two bounds",
            Self::Unary(Unary::HardSigmoid(_), _) => "a hard sigmoid",
            Self::Unary(Unary::Erf, _) => "an error function",
            Self::Unary(Unary::Exp, _) => "an exponential",
            Self::Unary(Unary::Sqrt, _) => "a root",
            Self::Unary(Unary::Reciprocal, _) => "a reciprocal",
            Self::Unary(Unary::Neg, _) => "a negated value",
            Self::Unary(Unary::Abs, _) => "an absolute value",
            Self::Binary(Binary::Add, ..) => "a sum",
            Self::Binary(Binary::Sub, ..) => "a difference",
            Self::Binary(Binary::Mul, ..) => "a product",
            Self::Binary(Binary::Div, ..) => "a quotient",
            Self::Binary(Binary::Max, ..) => "the larger of two",
            Self::Binary(Binary::Min, ..) => "the smaller of two",
            Self::Binary(Binary::Pow, ..) => "a power",
            Self::Reduced(Reduction::Mean, _) => "a mean",
            Self::Reduced(Reduction::Sum, _) => "a sum along an axis",
            Self::Reduced(Reduction::Max, _) => "the largest along an axis",
        })
    }
}

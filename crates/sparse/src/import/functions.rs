//! Activations, and the parts that they are written as.

use super::Error;
use super::attributes::Read;
use super::walk::{Known, Walk};
use secateur_graph::{Activation, Op, Value};
use std::f32::consts::FRAC_1_SQRT_2;
use std::fmt;

/// What has been computed of an activation of `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `min(max(x + 3, 0), 6)`.
    Clipped,
    /// The same, divided by 6.
    HardSigmoid,
    /// The same times x, not divided.
    TimesClipped,
    /// `erf(x / sqrt(2))`.
    Erf,
    /// The same and 1.
    ErfPlusOne,
    /// The same, divided by 2.
    Distribution,
    /// The same times x, not divided.
    TimesErf,
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Sigmoid => "a sigmoid",
            Self::Clipped | Self::HardSigmoid | Self::TimesClipped => "a hard sigmoid",
            Self::Erf | Self::ErfPlusOne | Self::Distribution | Self::TimesErf => "an error function",
        })
    }
}

/// What comes next of an activation.
pub(super) enum Next {
    Part(Part),
    Whole(Activation),
}

/// Whether a number is this one, as far as f32 and f16 hold it.
pub(super) fn is(found: f32, expected: f32) -> bool {
    (found - expected).abs() <= 1e-3 * expected.abs()
}

/// A part with a number behind the operator, or before it.
pub(super) fn with_constant(part: Part, operator: &str, by: f32, is_behind: bool) -> Option<Next> {
    let divides =
        |own: f32| (operator == "Div" && is_behind && is(by, own)) || (operator == "Mul" && is(by, 1.0 / own));
    Some(match part {
        Part::Clipped if divides(6.0) => Next::Part(Part::HardSigmoid),
        Part::TimesClipped if divides(6.0) => Next::Whole(Activation::HardSwish),
        Part::Erf if operator == "Add" && is(by, 1.0) => Next::Part(Part::ErfPlusOne),
        Part::ErfPlusOne if divides(2.0) => Next::Part(Part::Distribution),
        Part::TimesErf if divides(2.0) => Next::Whole(Activation::Gelu),
        _ => return None,
    })
}

/// A part times the value that it is a part for, in any order; no value where neither is a part.
pub(super) fn product(a: &Known, b: &Known) -> (Option<Value>, Option<Next>) {
    let ((Known::Part(value, part), other) | (other, Known::Part(value, part))) = (a, b) else { return (None, None) };
    let is_half = matches!(other, Known::Affine(own) if own.of == *value && own.is(0.5, 0.0));
    let is_same = matches!(other, Known::Value(own) if own == value);
    let next = match part {
        Part::ErfPlusOne if is_half => Some(Next::Whole(Activation::Gelu)),
        _ if !is_same => None,
        Part::Sigmoid => Some(Next::Whole(Activation::Silu)),
        Part::HardSigmoid => Some(Next::Whole(Activation::HardSwish)),
        Part::Clipped => Some(Next::Part(Part::TimesClipped)),
        Part::ErfPlusOne => Some(Next::Part(Part::TimesErf)),
        Part::Distribution => Some(Next::Whole(Activation::Gelu)),
        Part::Erf | Part::TimesClipped | Part::TimesErf => None,
    };
    (Some(*value), next)
}

impl<'a> Walk<'a> {
    /// Adds an activation.
    pub(super) fn activation(&mut self, node: Read<'a>, own: Activation, of: Value) -> Result<Known, Error> {
        self.add(node.short_name(), Op::Activation(own), &[of], vec![]).map(Known::Value)
    }

    pub(super) fn function(&mut self, node: Read<'a>) -> Result<Known, Error> {
        if let ("Erf", Known::Affine(own)) = (node.operator(), self.known(node, 0)?)
            && own.is(FRAC_1_SQRT_2, 0.0)
        {
            return Ok(Known::Part(own.of, Part::Erf));
        }
        if node.operator() == "Clip" {
            return self.clip(node);
        }
        let value = self.value(node, 0)?;
        match node.operator() {
            "Relu" => self.activation(node, Activation::Relu, value),
            "HardSwish" => self.activation(node, Activation::HardSwish, value),
            "Gelu" if matches!(node.text("approximate"), "" | "none") => self.activation(node, Activation::Gelu, value),
            "Gelu" => Err(node.refuse(format!("expected the exact gelu, found `{}`", node.text("approximate")))),
            "Sigmoid" => Ok(Known::Part(value, Part::Sigmoid)),
            "HardSigmoid" => {
                let (slope, shift) = (node.float("alpha").unwrap_or(0.2), node.float("beta").unwrap_or(0.5));
                match is(slope, 1.0 / 6.0) && is(shift, 0.5) {
                    true => Ok(Known::Part(value, Part::HardSigmoid)),
                    false => Err(node.refuse(format!("expected a slope of 1/6 and 0.5, found {slope} and {shift}"))),
                }
            }
            _ => Err(node.refuse("an error function is supported as a part of gelu only")),
        }
    }

    fn clip(&mut self, node: Read<'a>) -> Result<Known, Error> {
        let bound = |walk: &Self, place: usize| match node.input(place) {
            Some(_) => match walk.constant(node, place)?.scalar() {
                Some(own) => Ok(Some(own)),
                None => Err(node.refuse("expected bounds that are one number each")),
            },
            None => Ok(None),
        };
        let (low, high) = (bound(self, 1)?, bound(self, 2)?);
        match (low, high) {
            (Some(0.0), Some(6.0)) => {
                if let Known::Affine(own) = self.known(node, 0)?
                    && own.is(1.0, 3.0)
                {
                    return Ok(Known::Part(own.of, Part::Clipped));
                }
                let value = self.value(node, 0)?;
                self.activation(node, Activation::Relu6, value)
            }
            (Some(0.0), None | Some(f32::MAX | f32::INFINITY)) => {
                let value = self.value(node, 0)?;
                self.activation(node, Activation::Relu, value)
            }
            _ => {
                let said = |own: Option<f32>| own.map_or("no bound".into(), |own| own.to_string());
                Err(node.refuse(format!("expected 0 and 6, or 0 and no bound, found {} and {}", said(low), said(high))))
            }
        }
    }
}

//! What a node says besides its inputs.

use super::Error;
use crate::proto::{Attribute, Node, Tensor};

/// A node of a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'a>(pub &'a Node);

impl<'a> Read<'a> {
    pub(super) fn operator(&self) -> &'a str {
        self.0.op_type.as_deref().unwrap_or("")
    }

    /// Its name, or that of what it gives.
    pub(super) fn name(&self) -> &'a str {
        match self.0.name.as_deref() {
            Some(name) if !name.is_empty() => name,
            _ => self.output(),
        }
    }

    /// Its name without the operator's, which PyTorch puts behind it.
    pub(super) fn short_name(&self) -> &'a str {
        let own = self.name().strip_suffix(self.operator()).and_then(|own| own.strip_suffix('/'));
        own.filter(|own| !own.is_empty()).unwrap_or(self.name())
    }

    /// That of its weight, as PyTorch names parameters, or else its own.
    pub(super) fn layer_name(&self) -> &'a str {
        self.input(1).and_then(|own| own.strip_suffix(".weight")).unwrap_or(self.short_name())
    }

    /// The name of what it gives.
    pub(super) fn output(&self) -> &'a str {
        self.0.output.first().map_or("", String::as_str)
    }

    /// The name of an input, if it has it.
    pub(super) fn input(&self, place: usize) -> Option<&'a str> {
        self.0.input.get(place).map(String::as_str).filter(|own| !own.is_empty())
    }

    /// An error that names it.
    pub(super) fn refuse(&self, why: impl Into<String>) -> Error {
        Error::Node {
            node: self.name().to_owned(),
            operator: self.operator().to_owned(),
            why: why.into(),
            // Whoever goes over the nodes counts them.
            readers: 0,
        }
    }

    fn attribute(&self, name: &str) -> Option<&'a Attribute> {
        self.0.attribute.iter().find(|own| own.name.as_deref() == Some(name))
    }

    pub(super) fn int(&self, name: &str, otherwise: i64) -> i64 {
        self.attribute(name).and_then(|own| own.i).unwrap_or(otherwise)
    }

    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name).and_then(|own| own.f)
    }

    pub(super) fn text(&self, name: &str) -> &'a str {
        let bytes = self.attribute(name).and_then(|own| own.s.as_deref());
        bytes.and_then(|own| std::str::from_utf8(own).ok()).unwrap_or("")
    }

    pub(super) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|own| &own.ints[..])
    }

    pub(super) fn floats(&self, name: &str) -> Option<&'a [f32]> {
        self.attribute(name).map(|own| &own.floats[..])
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&'a Tensor> {
        self.attribute(name).and_then(|own| own.t.as_ref())
    }

    /// A list of sides, one for each axis of an image, or of a value with a length only, whose row has 1; `otherwise` where it is left
    /// out.
    pub(super) fn pair(&self, name: &str, otherwise: usize, is_line: bool) -> Result<[usize; 2], Error> {
        let sides = match self.ints(name) {
            None | Some([]) if is_line => return Ok([1, otherwise]),
            None | Some([]) => return Ok([otherwise; 2]),
            Some(&[length]) if is_line => [1, length],
            Some(&[rows, columns]) if !is_line => [rows, columns],
            Some(other) => {
                let axes = if is_line { "one axis" } else { "two axes" };
                return Err(self.refuse(format!("expected `{name}` of {axes}, found {}", other.len())));
            }
        };
        match sides.map(u16::try_from) {
            [Ok(rows), Ok(columns)] => Ok([rows.into(), columns.into()]),
            _ => Err(self.refuse(format!("expected `{name}` from 0 to 65535, found {sides:?}"))),
        }
    }

    /// Rows above, columns left, rows below, columns right; of a value with a length only those before and behind it.
    pub(super) fn pads(&self, is_line: bool) -> Result<[usize; 4], Error> {
        let all = match self.ints("pads") {
            None | Some([]) => return Ok([0; 4]),
            Some(&[before, behind]) if is_line => [0, before, 0, behind],
            Some(&[top, left, bottom, right]) if !is_line => [top, left, bottom, right],
            Some(all) => {
                let count = if is_line { "two" } else { "four" };
                return Err(self.refuse(format!("expected {count} `pads`, found {all:?}")));
            }
        };
        self.sides(all)
    }

    /// Zeros on four sides.
    pub(super) fn sides(&self, all: [i64; 4]) -> Result<[usize; 4], Error> {
        match all.map(u16::try_from) {
            [Ok(top), Ok(left), Ok(bottom), Ok(right)] => Ok([top, left, bottom, right].map(usize::from)),
            _ => Err(self.refuse(format!("expected pads from 0 to 65535, found {all:?}"))),
        }
    }
}

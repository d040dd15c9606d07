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

    /// A list of sides, one for each axis of an image; `otherwise` where it is left out.
    pub(super) fn pair(&self, name: &str, otherwise: usize) -> Result<[usize; 2], Error> {
        match self.ints(name) {
            None | Some([]) => Ok([otherwise; 2]),
            Some(&[rows, columns]) => match (u16::try_from(rows), u16::try_from(columns)) {
                (Ok(rows), Ok(columns)) => Ok([rows.into(), columns.into()]),
                _ => Err(self.refuse(format!("expected `{name}` from 0 to 65535, found {rows} and {columns}"))),
            },
            Some(other) => {
                Err(self.refuse(format!("expected `{name}` of two axes (images only), found {}", other.len())))
            }
        }
    }

    /// Rows above, columns left, rows below, columns right.
    pub(super) fn pads(&self) -> Result<[usize; 4], Error> {
        let Some(all) = self.ints("pads").filter(|own| !own.is_empty()) else { return Ok([0; 4]) };
        let own: Option<Vec<usize>> = all.iter().map(|own| u16::try_from(*own).ok().map(usize::from)).collect();
        own.and_then(|own| own.try_into().ok())
            .ok_or_else(|| self.refuse(format!("expected four `pads` from 0 to 65535 (images only), found {all:?}")))
    }
}

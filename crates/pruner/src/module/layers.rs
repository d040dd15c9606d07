//! Which axis of a parameter counts what: burn tells a visitor the type of the layer that a parameter belongs to, and with
//! it the meaning of its axes. The shape alone would not do: a transposed convolution has its inputs first.

use super::masked::Path;
use crate::{Error, Granularity, Layout, MaskSet, Request, Scope, Terms};
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// The layouts of a module's float parameters, by path, in its order: those of burn's own layers (linear, embedding,
/// convolutions, transposed convolutions), and of everything with a single axis. A matrix or more of another layer is left
/// out, since only its author knows its axes; give it to [`crate::choose_on`] or [`crate::choose_by`] by its [`Terms`].
///
/// An embedding `[tokens, features]` is a linear layer that reads one token.
pub fn layouts<M: Module>(module: &M) -> Vec<(String, Layout)> {
    found(module).into_iter().filter_map(|own| Some((own.name, own.kind.layout()?))).collect()
}

/// Free terms of a module's masked parameters.
///
/// # Errors
/// When the request counts MACs and there is a convolution: how many positions it has is not in its shape. When the request
/// depends on the axes of a parameter whose layer is unknown, or an axis of a grouped convolution does not count whole units.
pub(crate) fn module_terms<M: Module>(
    module: &M,
    old: &MaskSet,
    request: &Request,
) -> Result<impl Fn(&str, &[usize]) -> Option<Terms>, Error> {
    let terms = crate::choose::free_terms(old, request)?;
    let (mut known, mut text) = (vec![], None);
    for own in found(module).into_iter().filter(|own| old.get(&own.name).is_some()) {
        let refuse = |why: String| {
            let granularity = match request.scope {
                Scope::Output => format!("{} within its output units", request.granularity),
                _ => request.granularity.to_string(),
            };
            Err(Error::Granularity { name: own.name.clone(), granularity, why })
        };
        let by_axes = request.granularity != (Granularity::Element {}) || request.scope == Scope::Output;
        let layout = match own.kind.layout() {
            Some(layout) => layout,
            None if by_axes => {
                let why = format!(
                    "the axes of a parameter of `{}` are not known, expected a layer of burn's own, or `choose_on` with \
                     its `Layout`",
                    own.layer
                );
                return refuse(why);
            }
            None => continue,
        };
        if own.kind.counts_within_groups(request) {
            let text = text.get_or_insert_with(|| format!("{module:?}"));
            match groups(text, own.id, &own.layer) {
                Some(1) => {}
                Some(groups) => {
                    let why = format!(
                        "its {groups} groups share the axis, so that one index stands for a unit of each; expected 1 group"
                    );
                    return refuse(why);
                }
                None => {
                    let why = "how many groups it has is not known, expected a layer whose `Debug` shows its fields, or \
                               `choose_on` with its `Layout`";
                    return refuse(why.into());
                }
            }
        }
        known.push((own.name, layout));
    }
    Ok(move |name: &str, shape: &[usize]| {
        let layout = known.iter().find(|(own, _)| own == name).map(|(_, layout)| *layout);
        terms(name, shape).map(|terms| Terms { layout: layout.unwrap_or(terms.layout), ..terms })
    })
}

/// What a parameter's axes are.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bias,
    Linear,
    Convolution,
    Transposed,
    Unknown,
}

impl Kind {
    /// That of a field of a burn struct.
    fn of(layer: &str, field: &str, axes: usize) -> Self {
        match (layer, field) {
            _ if axes < 2 => Self::Bias,
            ("Linear" | "Embedding", "weight") => Self::Linear,
            ("Conv1d" | "Conv2d" | "Conv3d" | "DeformConv2d", "weight") => Self::Convolution,
            ("ConvTranspose1d" | "ConvTranspose2d" | "ConvTranspose3d", "weight") => Self::Transposed,
            _ => Self::Unknown,
        }
    }

    fn layout(self) -> Option<Layout> {
        match self {
            Self::Bias => Some(Layout::BIAS),
            Self::Linear => Some(Layout::LINEAR),
            Self::Convolution => Some(Layout::CONV),
            Self::Transposed => Some(Layout::TRANSPOSED),
            Self::Unknown => None,
        }
    }

    /// Whether the request goes by an axis that counts only what is in one group of a grouped convolution: the inputs of a
    /// convolution, the outputs of a transposed one.
    fn counts_within_groups(self, request: &Request) -> bool {
        match request.granularity {
            Granularity::Channel {} => self == Self::Convolution,
            Granularity::Filter {} => self == Self::Transposed,
            Granularity::Block { outputs, .. } => self == Self::Transposed && outputs > 1,
            Granularity::Element {} => self == Self::Transposed && request.scope == Scope::Output,
            Granularity::NOfM { .. } => false,
        }
    }
}

/// The number of groups of the convolution that the weight belongs to. A visitor is told of parameters alone, but every
/// module has `Debug`, and in that of burn's convolutions the number follows the weight.
fn groups(text: &str, weight: ParamId, layer: &str) -> Option<usize> {
    let key = if layer == "DeformConv2d" { ", weight_groups: " } else { ", groups: " };
    let own = text.split_once(&format!("weight: Param: {weight} "))?.1;
    let own = own.split("weight: Param:").next()?;
    own.split_once(key)?.1.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

struct Found {
    name: String,
    id: ParamId,
    kind: Kind,
    /// The type of its layer.
    layer: String,
}

fn found<M: Module>(module: &M) -> Vec<Found> {
    let mut finder = Finder { found: vec![], types: vec![], path: Path::default() };
    module.visit(&mut finder);
    finder.found
}

struct Finder {
    found: Vec<Found>,
    /// The field and the container of each step of the path.
    types: Vec<[String; 2]>,
    path: Path,
}

impl ModuleVisitor for Finder {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name);
        self.types.push([name.to_owned(), container.strip_prefix("Struct:").unwrap_or(container).to_owned()]);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
        self.types.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let [field, layer] = self.types.last().cloned().unwrap_or_default();
        let kind = Kind::of(&layer, &field, D);
        self.found.push(Found { name: self.path.name(), id: param.id, kind, layer });
    }
}

//! What can be wrong with a request to prune.

use std::fmt;

/// A request that cannot be served, with the parameter that it is about.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A sparsity outside `[0, 1)`.
    #[error("sparsity is {0}, wanted at least 0 and below 1")]
    Sparsity(f64),
    /// A schedule that cannot be computed.
    #[error("{0}")]
    Schedule(String),
    /// A name pattern that cannot be read.
    #[error("pattern `{pattern}` is no glob: {why}")]
    Pattern {
        /// As typed.
        pattern: String,
        /// What the parser said.
        why: String,
    },
    /// A pattern that selects nothing.
    #[error("pattern `{pattern}` matches no parameter; there are {}", List(known))]
    NoMatch {
        /// As typed.
        pattern: String,
        /// The names that it could have matched.
        known: Vec<String>,
    },
    /// Inclusions minus exclusions leave nothing.
    #[error("no parameter is left to prune: none is included, or all of them are excluded; there are {}", List(known))]
    NothingSelected {
        /// The names that could have been selected.
        known: Vec<String>,
    },
    /// Masks are attached already; attaching again would silently keep the old ones.
    #[error("`{name}` has a mask already; set its bits instead of attaching another")]
    AlreadyMasked {
        /// Path of the parameter.
        name: String,
    },
    /// A module without masks, of which nothing would be pruned.
    #[error(
        "the module has no masks, so nothing can be pruned; give it some with `mask_selected` or `attach_masks` first"
    )]
    NoMasks,
    /// A score with a sign where more than the order of scores counts.
    #[error(
        "score of `{name}` at flat index {index} is {value}, and of scores with a sign only the order counts; expected the \
         scope layerwise, output, global or erk, or `magnitudes` of the scores, found {scope}"
    )]
    Signed {
        /// Path of the parameter.
        name: String,
        /// Its flat index.
        index: usize,
        /// What stands there.
        value: f32,
        /// The scope that calculates with scores.
        scope: crate::Scope,
    },
    /// A mask for a parameter that has none attached.
    #[error(
        "there is a mask for `{name}`, but the module has no masked parameter of that name; it has {}",
        List(known)
    )]
    UnknownMask {
        /// Name of the mask.
        name: String,
        /// The module's masked parameters.
        known: Vec<String>,
    },
    /// A masked parameter without a mask in the set.
    #[error("the set has no mask for `{name}`")]
    MissingMask {
        /// Path of the parameter.
        name: String,
    },
    /// A mask of another shape than its parameter.
    #[error("mask for `{name}` has shape {found:?}, the weight has {wanted:?}")]
    MaskShape {
        /// Path of the parameter.
        name: String,
        /// The mask's shape.
        found: Vec<usize>,
        /// The parameter's shape.
        wanted: Vec<usize>,
    },
    /// A stored mask of the wrong length.
    #[error("mask for `{name}` has {found} bytes, wanted {wanted}")]
    MaskBytes {
        /// Path of the parameter.
        name: String,
        /// Bytes found.
        found: usize,
        /// Bytes that the shape asks for.
        wanted: usize,
    },
    /// A stored mask with bits set past its end.
    #[error("mask for `{name}` has bits set past its last element")]
    MaskPadding {
        /// Path of the parameter.
        name: String,
    },
    /// A weight that has no place in an order.
    #[error("`{name}` has {value} at flat index {index}; only finite weights can be ranked")]
    NotFinite {
        /// Path of the parameter.
        name: String,
        /// Its flat index.
        index: usize,
        /// What stands there.
        value: f32,
    },
    /// A gradient or a score that has no place in an order.
    #[error("{what} of `{name}` at flat index {index} is {value}; only finite numbers can be ranked")]
    NotFiniteScore {
        /// What it is.
        what: &'static str,
        /// Path of the parameter.
        name: String,
        /// Its flat index.
        index: usize,
        /// What stands there.
        value: f32,
    },
    /// A score below zero: its bits would put it above all others.
    #[error(
        "{what} of `{name}` at flat index {index} is {value}, expected at least 0; where the sign has a meaning take \
         `ordered`, and sizes of gradients for growth"
    )]
    NegativeScore {
        /// What it is.
        what: &'static str,
        /// Path of the parameter.
        name: String,
        /// Its flat index.
        index: usize,
        /// What stands there.
        value: f32,
    },
    /// Something that a criterion needs of a parameter.
    #[error("there is no {what} of `{name}`; there is one of {}", List(known))]
    Missing {
        /// What it needs.
        what: &'static str,
        /// Path of the parameter.
        name: String,
        /// Of which parameters there is one.
        known: Vec<String>,
    },
    /// A file of scores that cannot be read.
    #[error("scores: {0}")]
    ScoreFile(String),
    /// A loss without gradients.
    #[error(
        "no parameter that trains has a gradient; compute the loss from the module that the closure is given, on an \
         autodiff device"
    )]
    NoGradients,
    /// A target below what is pruned already.
    #[error(
        "{pruned} of {total} {unit} of {place} are pruned already, the target leaves only {wanted} pruned; masks never grow back"
    )]
    Grows {
        /// A layer's name, or `all layers`.
        place: String,
        /// Pruned now.
        pruned: usize,
        /// Pruned by the target.
        wanted: usize,
        /// In all.
        total: usize,
        /// What is counted: `weights` or `MACs`.
        unit: &'static str,
    },
    /// A target that the layers' own terms forbid.
    #[error(
        "the target prunes {wanted} of {total} {unit} of {place}, but what each layer keeps at least and at most \
         (floors, ceilings, sparsities of their own, the last weights of a layer) allows from {least} to {most}; {} comes \
         nearest, which is {:.2} %",
        nearest(*wanted, *least, *most),
        100.0 * nearest(*wanted, *least, *most) as f64 / (*total).max(1) as f64
    )]
    Impossible {
        /// A layer's name, or `all layers`.
        place: String,
        /// Pruned by the target.
        wanted: u64,
        /// In all.
        total: u64,
        /// Pruned at least.
        least: u64,
        /// Pruned at most.
        most: u64,
        /// What is counted: `weights` or `MACs`.
        unit: &'static str,
    },
    /// A target that this network cannot reach, or none can.
    #[error("target {target}: {why}")]
    Target {
        /// The target in words.
        target: String,
        /// What stands in its way, and what was wanted.
        why: String,
    },
    /// A granularity that does not fit a parameter.
    #[error("`{name}` cannot be pruned by {granularity}: {why}")]
    Granularity {
        /// Path of the parameter.
        name: String,
        /// The granularity in words.
        granularity: String,
        /// What does not fit.
        why: String,
    },
    /// Parameters or optimizer state that do not fit the module.
    #[error("`{name}`: found {found}, wanted {wanted}")]
    State {
        /// Path of the parameter, with the field for optimizer state.
        name: String,
        /// What was found.
        found: String,
        /// What the module needs.
        wanted: String,
    },
    /// burn could not read or write optimizer state.
    #[error("optimizer state: {0}")]
    Optimizer(String),
}

fn nearest(wanted: u64, least: u64, most: u64) -> u64 {
    wanted.min(most).max(least)
}

struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            write!(out, "{}`{name}`", if index == 0 { "" } else { ", " })?;
        }
        if self.0.is_empty() { write!(out, "none") } else { Ok(()) }
    }
}

//! What can be wrong with a pruning without training.

/// Why a network was not pruned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The selection of weights, or how many of them go.
    #[error(transparent)]
    Selection(#[from] secateur_pruner::Error),
    /// A graph that cannot be built.
    #[error(transparent)]
    Graph(#[from] secateur_graph::Error),
    /// A network that the engine cannot compute.
    #[error(transparent)]
    Engine(#[from] secateur_sparse::infer::Error),
    /// A network that cannot be stored.
    #[error(transparent)]
    File(#[from] secateur_sparse::file::Error),
    /// A weight, an image or a value that is not finite.
    #[error("{what} is not a finite number; expected a trained network, and images as it takes them")]
    NotFinite {
        /// Where it stands.
        what: String,
    },
    /// A budget that needs images.
    #[error("a budget of {what} needs images to compare answers on, found none")]
    NoImages {
        /// The budget in words.
        what: String,
    },
    /// A budget of answers that cannot be compared.
    #[error(
        "a budget of {what} compares which of several numbers is the largest, and the network gives one number an image; \
         expected another budget"
    )]
    OneAnswer {
        /// The budget in words.
        what: String,
    },
    /// Images of another size than the network takes.
    #[error("found {found} numbers for images of {expected}, expected whole images")]
    Images {
        /// Numbers in all.
        found: usize,
        /// Numbers of an image.
        expected: usize,
    },
    /// A budget that nothing meets.
    #[error("{budget}: the smallest network that pruning finds has {least}; expected a larger budget")]
    Unreachable {
        /// The budget in words.
        budget: String,
        /// What the smallest network has.
        least: String,
    },
}

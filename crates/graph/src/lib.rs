//! A network's structure as data, and its weights by name.
//!
//! A [`Graph`] knows operations, shapes and parameter names, and holds no weights, so that it costs nothing to make one, to
//! check it and to count it. [`Weights`] are values by parameter name, in PyTorch's names, shapes and memory layout. What a
//! network computes, costs and may lose follows from walking the one beside the other:
//!
//! ```
//! use secateur_graph::{Activation, Conv2d, Graph, Linear, Op, Pool};
//!
//! let graph = Graph::sequential(&[1, 28, 28], [
//!     ("conv1", Op::Conv2d(Conv2d::new(6, 3))),
//!     ("relu1", Op::Activation(Activation::Relu)),
//!     ("pool1", Op::Pool(Pool::max(2))),
//!     ("flatten", Op::Flatten),
//!     ("fc", Op::Linear(Linear::new(10))),
//! ])?;
//! assert_eq!(graph.shape(graph.output()), [10]);
//! assert_eq!(graph.parameters()[2].name, "fc.weight");
//! assert_eq!(graph.macs(), 6 * 9 * 26 * 26 + 10 * 6 * 13 * 13);
//! # Ok::<(), secateur_graph::Error>(())
//! ```

mod channels;
mod cost;
mod dependency;
mod error;
mod graph;
mod op;
mod reference;
mod survey;
mod union_find;
mod weights;
mod window;

pub use channels::Channels;
pub use cost::{Cost, LayerSize};
pub use dependency::{ChannelUnits, Group, Member, Pin};
pub use error::Error;
pub use graph::{Builder, Graph, MOST_PARAMETERS, MOST_VALUES, Node, Parameter, Value};
pub use op::{Activation, BatchNorm, Conv2d, Embedding, LayerNorm, Linear, Op, Pool, PoolKind, Role};
pub use reference::erf;
pub use survey::Survey;
pub use weights::Weights;
pub use window::Window;

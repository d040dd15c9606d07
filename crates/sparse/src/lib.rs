//! The network without burn: plain layers in plain vectors, what they cost, and which of their units are dead.

mod cost;
mod dead;
mod network;

pub use cost::{Cost, LayerCost};
pub use network::{Conv2d, Error, Layer, Linear, Network, Parameters, ParametersMut};

//! The network without burn: plain layers in plain vectors, what they cost, which of their units are dead, and kernels
//! that train them on the CPU, with all weights or with the kept ones only.

mod cost;
mod dead;
mod kernels;
mod lanes;
mod network;
mod peak;
mod pool;
mod simd;
mod survey;
pub mod train;

pub use cost::{Cost, LayerCost};
pub use kernels::update::Optimizer;
pub use network::{Conv2d, Error, Layer, Linear, Network, Parameters, ParametersMut};
pub use peak::peak;
pub use simd::InstructionSet;
pub use survey::Survey;

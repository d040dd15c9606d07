//! The thread pool. It is written once, over the standard library's threads, and tried over loom's (`model.rs`).

#[cfg(test)]
mod model;
mod sync;
#[cfg(test)]
mod tests;
mod threads;

pub(crate) use threads::Pool;

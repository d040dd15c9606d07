//! What the pool takes of the standard library. `model.rs` has the same names for loom's threads.

use std::cell;
pub(super) use std::hint::spin_loop;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
pub(super) use std::sync::{Arc, Condvar, Mutex};
pub(super) use std::thread::{Builder, JoinHandle, yield_now};

/// Rounds of waiting before a thread gives its core away, and before it sleeps; few where Miri interprets them.
pub(super) const SPINS: usize = if cfg!(miri) { 20 } else { 20_000 };
pub(super) const YIELDS: usize = if cfg!(miri) { 5 } else { 300 };

/// A cell that lends pointers for the length of a call, so that loom's, which follows who has one, can stand in for it.
pub(super) struct UnsafeCell<T>(cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(super) fn new(value: T) -> Self {
        Self(cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer to read from.
    #[inline(always)]
    pub(super) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer to write to.
    #[inline(always)]
    pub(super) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

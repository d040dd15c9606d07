//! The threads that engines compute on.

use super::Error;
use crate::pool::Pool;
use std::sync::Arc;

/// Threads that engines compute on. A copy is the same threads. They sleep between calls, a millisecond after the last one, and end with
/// the last copy. Calls of several engines take turns at every step; a single thread is the caller's own, so that engines on one thread
/// each never wait for one another.
#[derive(Clone, Debug)]
pub struct Threads(Arc<Pool>);

impl Threads {
    /// So many threads, the caller's own included.
    ///
    /// # Errors
    /// When the system gives fewer.
    pub fn new(count: usize) -> Result<Self, Error> {
        let threads = count.max(1);
        let refuse = |error: std::io::Error| Error::Threads { threads, why: error.to_string() };
        Ok(Self(Arc::new(Pool::new(threads).map_err(refuse)?)))
    }

    /// How many there are, the caller's own included.
    pub fn count(&self) -> usize {
        self.0.threads()
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.0
    }
}

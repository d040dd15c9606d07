//! The pool over loom's threads: loom runs a model in every order of what its threads do, and with every value that a relaxed
//! read may find, and fails on a race or a deadlock. What is bounded: two or three threads, two or three items, two
//! phases, and how often a thread is interrupted.

#![expect(unsafe_code, reason = "cells that loom watches")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind};
use threads::Pool;

mod sync {
    pub(super) use loom::cell::UnsafeCell;
    pub(super) use loom::hint::spin_loop;
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
    pub(super) use loom::sync::{Arc, Condvar, Mutex};
    pub(super) use loom::thread::{Builder, JoinHandle, yield_now};

    pub(super) const SPINS: usize = 1;
    pub(super) const YIELDS: usize = 1;
}

#[expect(clippy::duplicate_mod, reason = "the same pool over loom's threads")]
#[allow(dead_code, reason = "the models call a part of it")]
#[path = "threads.rs"]
mod threads;

/// Runs a model in every order in which no thread is interrupted more often than this.
fn in_every_order(interruptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(interruptions);
    builder.check(model);
}

/// Items that loom watches.
fn items(count: usize) -> Vec<UnsafeCell<usize>> {
    (0..count).map(|_| UnsafeCell::new(0)).collect()
}

/// Adds 1.
fn add(item: &UnsafeCell<usize>) {
    // SAFETY: loom fails the model where two have the pointer.
    item.with_mut(|own| unsafe { *own += 1 });
}

/// What is in the items.
fn read(items: &[UnsafeCell<usize>]) -> Vec<usize> {
    // SAFETY: loom fails the model where another writes.
    items.iter().map(|item| item.with(|own| unsafe { *own })).collect()
}

#[test]
fn every_item_is_done_once_in_every_phase() {
    for (threads, count, interruptions) in [(2, 2, 3), (2, 3, 2), (3, 3, 1)] {
        in_every_order(interruptions, move || {
            let pool = Pool::new(threads).expect("threads");
            let mut items = items(count);
            for phase in 1..=2 {
                pool.each(&mut items, |item| add(item));
                assert_eq!(read(&items), vec![phase; count]);
            }
        });
    }
}

#[test]
fn two_callers_take_turns() {
    in_every_order(2, || {
        let pool = Arc::new(Pool::new(2).expect("threads"));
        let done = Arc::new(AtomicUsize::new(0));
        let call = |pool: &Pool, done: &AtomicUsize| {
            let mut items = items(2);
            pool.each(&mut items, |item| add(item));
            assert_eq!(read(&items), [1, 1]);
            done.fetch_add(1, Ordering::Relaxed);
        };
        let other = {
            let (pool, done) = (Arc::clone(&pool), Arc::clone(&done));
            loom::thread::spawn(move || call(&pool, &done))
        };
        call(&pool, &done);
        other.join().expect("it ends");
        assert_eq!(done.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
    in_every_order(2, || {
        let pool = Pool::new(2).expect("threads");
        let mut items = items(2);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            pool.each(&mut items, |item| {
                add(item);
                std::panic::resume_unwind(Box::new("on purpose"));
            });
        }));
        assert_eq!(panicked.expect_err("both panicked").downcast_ref(), Some(&"on purpose"));
        pool.each(&mut items, |item| add(item));
        assert_eq!(read(&items), [2, 2]);
    });
}

//! A few threads that stay awake between the short phases of a training step.
//!
//! Work is handed out item by item through atomic counters, so a thread that loses its core to a neighbour holds up one
//! item and not half of a phase. Each thread starts with a share of its own, the same in every phase, since what it has
//! written before lies in its own caches; when that is done it helps the others. Who does an item must not show in its
//! result: items write to disjoint places. From the first ticket of a phase to its last item nothing but the owner of an
//! item touches it, and nobody touches the slice.
#![expect(unsafe_code, reason = "items are lent to threads that outlive the call; see `each`")]

use super::sync::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, Builder, Condvar, JoinHandle, Mutex, SPINS, UnsafeCell, YIELDS, spin_loop,
    yield_now,
};
use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// A thread pool; dropping it ends its threads.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// One phase at a time.
    phase: Mutex<()>,
}

struct Shared {
    /// For each thread the end of its share (high half) and the next item to take of it (low half): whoever adds 1 and
    /// finds the old low half below the high half owns that item.
    tickets: Vec<Ticket>,
    /// Items of the phase that are not done yet.
    left: AtomicUsize,
    job: UnsafeCell<Job>,
    /// What the first item that panicked said.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    ending: AtomicBool,
    sleeping: Mutex<usize>,
    wake: Condvar,
}

// SAFETY: `job` is written only while no item is left, and read only by owners of an item; see `each`.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointers in `job` are to what `each` borrows for as long as an item is left.
unsafe impl Send for Shared {}

/// On a cache line of its own, so that threads at work on their shares do not disturb each other.
#[repr(align(128))]
struct Ticket(AtomicU64);

#[derive(Clone, Copy)]
struct Job {
    /// Does the item of this place on this thread.
    call: unsafe fn(*const (), usize, usize),
    data: *const (),
}

impl Pool {
    /// A pool that works on `threads` threads at once, the caller's own included.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let idle = Job { call: |_, _, _| {}, data: std::ptr::null() };
        let shared = Arc::new(Shared {
            tickets: (0..threads.max(1)).map(|_| Ticket(AtomicU64::new(0))).collect(),
            left: AtomicUsize::new(0),
            job: UnsafeCell::new(idle),
            panic: Mutex::new(None),
            ending: AtomicBool::new(false),
            sleeping: Mutex::new(0),
            wake: Condvar::new(),
        });
        let mut own = Self { threads: vec![], shared, phase: Mutex::new(()) };
        for thread in 1..threads {
            let shared = Arc::clone(&own.shared);
            own.threads.push(Builder::new().spawn(move || shared.work(thread))?);
        }
        Ok(own)
    }

    /// Threads that work at once, the caller's own included.
    pub(crate) fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `f` on every item, on all threads, and returns when all are done. `f` must not call the same pool.
    ///
    /// # Panics
    /// When `f` does.
    pub(crate) fn each<T: Send>(&self, items: &mut [T], f: impl Fn(&mut T) + Sync) {
        self.each_with(&mut vec![(); self.threads()], items, |(), item| f(item));
    }

    /// Calls `f` on every item, on all threads, each with a `scratch` of its own, and returns when all are done.
    ///
    /// # Panics
    /// When there are fewer scratches than threads, or `f` panics.
    pub(crate) fn each_with<S: Send, T: Send>(
        &self,
        scratch: &mut [S],
        items: &mut [T],
        f: impl Fn(&mut S, &mut T) + Sync,
    ) {
        self.each_chunk(scratch, items, 1, |scratch, _, item| f(scratch, &mut item[0]));
    }

    /// Calls `f` with the number of every `size` neighbours of `all`, of which the last may be fewer, and with them, on all threads.
    ///
    /// # Panics
    /// When there are fewer scratches than threads, `size` is 0, or `f` panics.
    pub(crate) fn each_chunk<S: Send, T: Send>(
        &self,
        scratch: &mut [S],
        all: &mut [T],
        size: usize,
        f: impl Fn(&mut S, usize, &mut [T]) + Sync,
    ) {
        let (length, all) = (all.len(), Whole(all.as_mut_ptr()));
        self.each_index(scratch, length.div_ceil(size), |scratch, index| {
            let first = index * size;
            // SAFETY: each index is given out once, and chunks of two indices share nothing.
            f(scratch, index, unsafe { all.part(first, size.min(length - first)) });
        });
    }

    /// Calls `f` with every range, and with what `all` has for it, `size` items for each of its numbers, on all threads.
    ///
    /// # Panics
    /// When there are fewer scratches than threads, the ranges do not follow each other from 0 on, `all` has fewer items, or `f` panics.
    pub(crate) fn each_part<S: Send, T: Send>(
        &self,
        scratch: &mut [S],
        all: &mut [T],
        parts: &[Range<usize>],
        size: usize,
        f: impl Fn(&mut S, Range<usize>, &mut [T]) + Sync,
    ) {
        let end = parts.iter().fold(0, |end, part| {
            assert!(part.start == end && part.end >= end, "parts follow each other");
            part.end
        });
        assert!(all.len() / size.max(1) >= end, "every part has its items");
        let all = Whole(all.as_mut_ptr());
        self.each_index(scratch, parts.len(), |scratch, index| {
            let part = parts[index].clone();
            // SAFETY: each index is given out once, parts share nothing, and all of them lie within.
            f(scratch, part.clone(), unsafe { all.part(part.start * size, part.len() * size) });
        });
    }

    /// Calls `f` with every number below `count`, on all threads, each with a `scratch` of its own, and returns when all are done.
    ///
    /// # Panics
    /// When there are fewer scratches than threads, or `f` panics.
    fn each_index<S: Send>(&self, scratch: &mut [S], count: usize, f: impl Fn(&mut S, usize) + Sync) {
        assert!(scratch.len() >= self.threads(), "every thread has a scratch of its own");
        if self.threads.is_empty() || count < 2 {
            return (0..count).for_each(|index| f(&mut scratch[0], index));
        }
        struct Lent<S, F>(*mut S, F);
        /// # Safety
        /// `data` is a `Lent<S, F>` that outlives the call, `index` is below its count and given out once, and `thread` is within
        /// its scratches and the calling thread's own.
        unsafe fn call<S, F: Fn(&mut S, usize)>(data: *const (), index: usize, thread: usize) {
            // SAFETY: the caller's promise.
            let lent = unsafe { &*data.cast::<Lent<S, F>>() };
            // SAFETY: no other thread has this scratch, so no other reference to it exists.
            (lent.1)(unsafe { &mut *lent.0.add(thread) }, index);
        }
        fn caller<S, F: Fn(&mut S, usize)>(_: &Lent<S, F>) -> unsafe fn(*const (), usize, usize) {
            call::<S, F>
        }
        let threads = self.threads();
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = Lent(scratch.as_mut_ptr(), f);
        let job = Job { call: caller(&lent), data: (&raw const lent).cast() };
        let shared = &*self.shared;
        // SAFETY: no item is left of the phase before, so no thread reads the job; none begins to before the new
        // tickets are published below.
        shared.job.with_mut(|own| unsafe { *own = job });
        shared.left.store(count, Ordering::Relaxed);
        let share = |thread: usize| (count * thread / threads) as u64;
        for (thread, ticket) in shared.tickets.iter().enumerate() {
            // Not `store`: loom does not know that one comes behind what a late thread adds to the ticket of the phase before.
            ticket.0.swap(share(thread + 1) << 32 | share(thread), Ordering::Release);
        }
        if *shared.sleeping.lock().unwrap_or_else(PoisonError::into_inner) > 0 {
            shared.wake.notify_all();
        }
        while shared.take_one(0) {}
        let mut rounds = 0;
        // `lent` and all that it borrows must stay until the last item is done, also when one of them panicked.
        while shared.left.load(Ordering::Acquire) > 0 {
            wait(&mut rounds);
        }
        let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(phase);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

/// A slice that is lent in parts; the borrow that it was made of lasts as long as the phase.
struct Whole<T>(*mut T);

// SAFETY: it gives out parts that share nothing, each to one thread.
unsafe impl<T: Send> Sync for Whole<T> {}

impl<T> Whole<T> {
    /// # Safety
    /// The part lies within the slice, and nothing else refers to any of it while it is in use.
    #[expect(clippy::mut_from_ref, reason = "the parts that are given out share nothing")]
    unsafe fn part(&self, first: usize, count: usize) -> &mut [T] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(first), count) }
    }
}

impl Shared {
    /// Does one item on this thread, if there is one: of its own share, or else of another's.
    fn take_one(&self, thread: usize) -> bool {
        let count = self.tickets.len();
        (0..count).any(|step| self.take_from((thread + step) % count, thread))
    }

    /// Whether a share has an item left.
    fn is_open(ticket: u64) -> bool {
        (ticket & 0xffff_ffff) < ticket >> 32
    }

    /// Does one item of a share on this thread, if there is one left.
    fn take_from(&self, share: usize, thread: usize) -> bool {
        let ticket = &self.tickets[share].0;
        if !Self::is_open(ticket.load(Ordering::Relaxed)) {
            return false;
        }
        let ticket = ticket.fetch_add(1, Ordering::AcqRel);
        if !Self::is_open(ticket) {
            return false;
        }
        // SAFETY: this thread owns an item that is not done, so the job stays; it was published before the ticket.
        let Job { call, data } = self.job.with(|job| unsafe { *job });
        // SAFETY: `data` belongs to `call`, lives until no item is left, and the index was given to this thread only.
        let done = catch_unwind(AssertUnwindSafe(|| unsafe { call(data, (ticket & 0xffff_ffff) as usize, thread) }));
        if let Err(panic) = done {
            let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
            match &*first {
                None => *first = Some(panic),
                // Dropping it could panic, and then this item would never count as done.
                Some(_) => std::mem::forget(panic),
            }
        }
        self.left.fetch_sub(1, Ordering::Release);
        true
    }

    fn work(&self, thread: usize) {
        let mut rounds = 0;
        while !self.ending.load(Ordering::Relaxed) {
            if self.take_one(thread) {
                rounds = 0;
            } else if rounds < SPINS + YIELDS {
                wait(&mut rounds);
            } else {
                let mut sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
                let idle = |ticket: &Ticket| !Self::is_open(ticket.0.load(Ordering::Acquire));
                if self.tickets.iter().all(idle) && !self.ending.load(Ordering::Relaxed) {
                    *sleeping += 1;
                    sleeping = self.wake.wait(sleeping).unwrap_or_else(PoisonError::into_inner);
                    *sleeping -= 1;
                }
                rounds = 0;
            }
        }
    }
}

/// Waits a little: at first without giving the core away.
fn wait(rounds: &mut usize) {
    if *rounds < SPINS {
        spin_loop();
    } else {
        yield_now();
    }
    *rounds += 1;
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        {
            let _sleeping = self.shared.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.wake.notify_all();
        }
        for thread in self.threads.drain(..) {
            // A thread only ends by a panic of ours, which `each` has told already.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Pool({} threads)", self.threads())
    }
}

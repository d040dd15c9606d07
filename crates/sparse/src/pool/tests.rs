//! The pool on real threads; Miri runs these, too.

use super::Pool;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn every_item_is_done_once_in_every_phase() {
    for threads in [1, 2, 5] {
        let pool = Pool::new(threads).expect("threads");
        let mut items = vec![0u32; 37];
        for phase in 1..=if cfg!(miri) { 8 } else { 500 } {
            pool.each(&mut items, |item| *item += 1);
            assert!(items.iter().all(|item| *item == phase));
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        pool.each(&mut items, |item| *item = 7);
        assert_eq!(items, [7; 37]);
        pool.each(&mut items[..0], |_| unreachable!("no item"));
    }
}

#[test]
fn chunks_and_parts_are_done_once_with_their_numbers() {
    for threads in [1, 3] {
        let pool = Pool::new(threads).expect("threads");
        let mut scratch = vec![0usize; threads];
        let mut all = vec![0; 11];
        pool.each_chunk(&mut scratch, &mut all, 4, |done, index, chunk| {
            *done += 1;
            chunk.iter_mut().enumerate().for_each(|(at, own)| *own += 4 * index + at);
        });
        assert_eq!((all.clone(), scratch.iter().sum::<usize>()), ((0..11).collect(), 3));
        let parts = [0..2, 2..2, 2..5];
        pool.each_part(&mut scratch, &mut all, &parts, 2, |_, part, own| {
            assert_eq!(own.len(), 2 * part.len());
            own.iter_mut().for_each(|own| *own = 100 + part.start);
        });
        assert_eq!(all, [100, 100, 100, 100, 102, 102, 102, 102, 102, 102, 10]);
        let mut refused = |parts: &[Range<usize>]| {
            let each = || pool.each_part(&mut scratch, &mut all, parts, 2, |_, _, _| ());
            catch_unwind(AssertUnwindSafe(each)).expect_err("refused");
        };
        refused(&[0..2, 1..3]);
        refused(&[1..2, 2..3]);
        refused(&[0..3, 3..6]);
    }
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
    let pool = Pool::new(3).expect("threads");
    let mut items: Vec<usize> = (0..8).collect();
    let panicked = catch_unwind(AssertUnwindSafe(|| pool.each(&mut items, |item| assert_ne!(*item, 5))));
    assert!(panicked.is_err());
    pool.each(&mut items, |item| *item = 0);
    assert_eq!(items, [0; 8]);
}

#[test]
fn every_thread_may_panic_at_once_with_what_panics_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "dropped where nobody catches it");
        }
    }
    let pool = Pool::new(3).expect("threads");
    let mut items = vec![0; 8];
    let panicked = catch_unwind(AssertUnwindSafe(|| pool.each(&mut items, |_| std::panic::panic_any(Bomb))));
    std::mem::forget(panicked.expect_err("every item panicked"));
    pool.each(&mut items, |item| *item += 1);
    assert_eq!(items, [1; 8]);
}

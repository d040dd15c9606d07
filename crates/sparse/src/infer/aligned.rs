//! Numbers that begin on the border of a cache line, so that a vector of them never lies across two.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line.
const LINE: usize = 64;

/// A slice of its own whose first number lies on the border of a cache line. (Its memory never moves: it cannot grow.)
#[derive(Debug)]
pub(super) struct Aligned<T> {
    room: Vec<T>,
    first: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// So many numbers, all of them the type's default.
    pub(super) fn zeros(length: usize) -> Self {
        let room: Vec<T> = vec![T::default(); length + LINE / size_of::<T>().max(1)];
        let first = room.as_ptr().align_offset(LINE).min(room.len() - length);
        let mut own = Self { room, first };
        own.room.truncate(first + length);
        own
    }

    /// The numbers of some groups, one after the other.
    pub(super) fn of<const N: usize>(groups: &[[T; N]]) -> Self {
        let mut own = Self::zeros(groups.len() * N);
        own.copy_from_slice(groups.as_flattened());
        own
    }
}

impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        let mut own = Self::zeros(self.len());
        own.copy_from_slice(self);
        own
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.room[self.first..]
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.room[self.first..]
    }
}

#[cfg(test)]
mod tests {
    use super::Aligned;

    #[test]
    fn it_begins_on_a_border_and_holds_what_it_was_given() {
        for groups in [0, 1, 3, 1000] {
            let given = vec![[1.5f32, 2.5, 3.5, 4.5]; groups];
            let own = Aligned::of(&given);
            assert_eq!(&own[..], given.as_flattened());
            assert_eq!(own.as_ptr().align_offset(64), 0);
            let copy = own.clone();
            assert_eq!((copy.as_ptr().align_offset(64), &copy[..]), (0, &own[..]));
            assert_eq!(Aligned::of(&vec![[7i8; 16]; groups]).as_ptr().align_offset(64), 0);
        }
    }
}

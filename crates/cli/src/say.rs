//! Words for people, on stderr. Nothing here fails: a terminal that went away, or a full disk under a redirect, is no reason
//! to end a training.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Writes a line to stderr, as `eprintln!` does, and goes on where nobody can read it.
macro_rules! say {
    ($($words:tt)*) => { $crate::say::line(format_args!($($words)*)) };
}
pub(crate) use say;

/// A line on stderr.
pub(crate) fn line(words: Arguments<'_>) {
    // In one piece, so that lines of several processes do not mix.
    let _ = io::stderr().write_all(format!("{words}\n").as_bytes());
}

/// Stderr, whose faults are nobody's: what writes here would report them to stderr, and panic.
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}

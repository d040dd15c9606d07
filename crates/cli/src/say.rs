//! Words for people, on stderr. Nothing here fails: a terminal that went away, or a full disk under a redirect, is no reason
//! to end a training.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Writes a line to stderr, as `eprintln!` does, and goes on where nobody can read it.
macro_rules! say {
    ($($words:tt)*) => { $crate::say::line(format_args!($($words)*)) };
}
pub(crate) use say;

/// A line on stderr, in which what somebody typed, or a file held, is repeated short.
pub(crate) fn line(words: Arguments<'_>) {
    let text: Vec<String> = words.to_string().split('\n').map(shortened).collect();
    // In one piece, so that lines of several processes do not mix.
    let _ = io::stderr().write_all(format!("{}\n", text.join("\n")).as_bytes());
}

/// Most characters of a word, which may be a path, and of a line; and how many are told of a longer one, of its beginning and
/// of its end.
const WORD: [usize; 3] = [1_000, 80, 40];
const LINE: [usize; 3] = [2_000, 1_400, 500];

/// A line of bounded length.
fn shortened(line: &str) -> String {
    let words: Vec<String> = line.split(' ').map(|word| cut(word, WORD)).collect();
    cut(&words.join(" "), LINE)
}

fn cut(text: &str, [most, first, last]: [usize; 3]) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let (first, last): (String, String) =
        (text.chars().take(first).collect(), text.chars().skip(count - last).collect());
    format!("{first}...{last}")
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

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn long_words_and_lines_are_told_by_their_beginning_and_end() {
        let path = "x".repeat(1_000);
        assert_eq!(shortened(&format!("a {path}  b")), format!("a {path}  b"));
        let found = shortened(&format!("found `{}` there", "\u{e9}".repeat(100_000)));
        assert_eq!(found, format!("found `{}...{}` there", "\u{e9}".repeat(79), "\u{e9}".repeat(39)));
        let line = shortened(&"ab ".repeat(50_000));
        assert!(line.len() == 1_903 && line.starts_with("ab ab") && line.ends_with("ab "), "{line}");
    }
}

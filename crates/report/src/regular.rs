//! Files that somebody else names: regular ones only, and to read ones of a bounded size. A pipe would be waited for, a device
//! read for ever.

use std::fs::{self, File, FileType};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Opens a regular file, or a link to one.
///
/// # Errors
/// When it is something else, or the system says so.
pub fn open(path: &Path) -> io::Result<File> {
    check(path)?;
    File::open(path)
}

/// Opens a regular file to write, empty; makes it where there is none.
///
/// # Errors
/// When it is something else, or the system says so.
pub fn create(path: &Path) -> io::Result<File> {
    match check(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => File::create(path),
    }
}

/// Checks that this is a regular file, or a link to one, before it is opened: that waits for the other end of a pipe.
///
/// # Errors
/// When it is something else, or the system says so.
pub fn check(path: &Path) -> io::Result<()> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() { Ok(()) } else { Err(refuse(format!("expected a regular file, found {}", name(kind)))) }
}

/// Opens a regular file of at most so many bytes.
///
/// # Errors
/// When it is something else or longer, or the system says so.
pub fn open_within(path: &Path, most: u64) -> io::Result<File> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Err(refuse(format!("expected at most {most} bytes, found {length}")));
    }
    Ok(file)
}

/// Reads a regular file of at most so many bytes.
///
/// # Errors
/// When it is something else or longer, or the system says so.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_within(path, most)?;
    let length = file.metadata()?.len();
    let mut bytes = buffer(length)?;
    // It may grow meanwhile.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        Err(refuse(format!("expected at most {most} bytes, found more")))
    } else {
        Ok(bytes)
    }
}

/// An empty buffer that so many bytes fit into.
fn buffer(length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match usize::try_from(length).map(|length| bytes.try_reserve_exact(length)) {
        Ok(Ok(())) => Ok(bytes),
        _ => Err(io::Error::new(ErrorKind::OutOfMemory, format!("no memory for its {length} bytes"))),
    }
}

/// Reads a regular file of at most so many bytes of text.
///
/// # Errors
/// When it is something else, longer or no UTF-8, or the system says so.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        io::Error::new(ErrorKind::InvalidData, format!("expected text in UTF-8, found other bytes after {place} of it"))
    })
}

fn refuse(why: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

fn name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "a socket"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_read_for_ever_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("text"), "four").expect("written");
        fs::write(path("torn"), b"a\xff").expect("written");
        std::os::unix::fs::symlink("text", path("link")).expect("a link");
        std::os::unix::fs::symlink("/dev/zero", path("zero")).expect("a link");
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().expect("mkfifo");
        assert!(made.success());
        for (name, expected) in [
            ("pipe", "expected a regular file, found a named pipe"),
            ("zero", "expected a regular file, found a device"),
            ("", "expected a regular file, found a folder"),
            ("none", "No such file"),
            ("torn", "expected text in UTF-8, found other bytes after 1 of it"),
        ] {
            let found = read_text(&path(name), 4).expect_err(name).to_string();
            assert!(found.contains(expected), "{name}: {found}");
        }
        for (name, expected) in [("pipe", "found a named pipe"), ("zero", "found a device"), ("none/x", "No such file")]
        {
            let found = create(&path(name)).expect_err(name).to_string();
            assert!(found.contains(expected), "{name}: {found}");
        }
        create(&path("new")).expect("made");
        assert_eq!(read_text(&path("link"), 4).expect("short enough"), "four");
        assert_eq!(
            buffer(u64::MAX).expect_err("too much").to_string(),
            format!("no memory for its {} bytes", u64::MAX)
        );
        assert_eq!(read(&path("text"), 3).expect_err("too long").to_string(), "expected at most 3 bytes, found 4");
    }
}

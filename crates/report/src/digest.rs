//! The checksum of a log: what it covers, and how it is told. Pure.
//!
//! ```text
//! sed 's/,"log_sha256":"[0-9a-f]*"//' log.jsonl | sha256sum     # the value of `log_sha256` in the last line
//! ```

use sha2::{Digest, Sha256};

/// How the field stands in the last line, before and after its 64 digits.
const BEFORE: &[u8] = br#","log_sha256":""#;
const DIGITS: usize = 64;

/// The SHA-256, in hexadecimal, of a whole log without the field `log_sha256` of its last line, which holds this value.
pub fn log_digest(log: &[u8]) -> String {
    let last = log.strip_suffix(b"\n").unwrap_or(log).iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let found = log[last..].windows(BEFORE.len()).rposition(|window| window == BEFORE).map(|place| last + place);
    let mut hash = Sha256::new();
    match found {
        Some(start) => {
            let end = (start + BEFORE.len() + DIGITS + 1).min(log.len());
            hash.update(&log[..start]);
            hash.update(&log[end..]);
        }
        None => hash.update(log),
    }
    hexadecimal(hash)
}

/// A digest as text.
pub(crate) fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_leaves_out_its_own_field_and_nothing_else() {
        // As `printf 'abc' | sha256sum` says.
        assert_eq!(log_digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let field = format!(r#","log_sha256":"{}""#, "0".repeat(64));
        let log = |first: &str, field: &str| format!("{first}\n{{\"timing\":{{\"elapsed_ms\":9{field}}}}}\n");
        let own = log_digest(log("a", "").as_bytes());
        assert_eq!(log_digest(log("a", &field).as_bytes()), own);
        assert_ne!(log_digest(log("b", &field).as_bytes()), own);
        assert_ne!(log_digest(log(&format!("a{field}"), "").as_bytes()), own, "in the last line only");
        assert_ne!(log_digest(log("a", &field).trim_end().as_bytes()), own, "the last newline counts");
        log_digest(br#"x,"log_sha256":"12"#);
    }
}

//! Words as a shell takes them.

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("model.width=5"), "model.width=5");
        assert_eq!(quoted("every={ steps = 5 }"), "'every={ steps = 5 }'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}

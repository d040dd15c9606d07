//! Counts what a model would become in memory before it is read: a message without content takes two bytes in a file and some
//! hundred when it is read.

/// Fields of the messages of a model that are read, at most.
const MOST: usize = 1 << 22;

/// Messages whose fields are counted.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Value,
    Other,
}

impl Message {
    /// What a field of it is; `None` where it is no message.
    fn field(self, tag: u64) -> Option<Self> {
        Some(match (self, tag) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 8 | 14) => Self::Other,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 11 | 12) => Self::Value,
            // A tensor, or a type: a field each for its sides.
            (Self::Graph | Self::Attribute, 5) => Self::Other,
            (Self::Node, 5) => Self::Attribute,
            (Self::Value | Self::Other, 1 | 2) => Self::Value,
            _ => return None,
        })
    }
}

/// Whether a model has no more fields than can be read.
pub(super) fn is_readable(bytes: &[u8]) -> bool {
    let mut left = MOST;
    count(bytes, Message::Model, 0, &mut left);
    left > 0
}

/// Takes the fields off; stops at what is damaged, which the reader refuses.
fn count(mut bytes: &[u8], message: Message, depth: usize, left: &mut usize) {
    while !bytes.is_empty() && *left > 0 {
        *left -= 1;
        let Some(key) = number(&mut bytes) else { return };
        let length = match key & 7 {
            0 => match number(&mut bytes) {
                Some(_) => 0,
                None => return,
            },
            1 => 8,
            2 => match number(&mut bytes).and_then(|own| usize::try_from(own).ok()) {
                Some(own) => own,
                None => return,
            },
            5 => 4,
            _ => return,
        };
        let Some((own, rest)) = bytes.split_at_checked(length) else { return };
        if let Some(message) = message.field(key >> 3).filter(|_| key & 7 == 2 && depth < 16) {
            count(own, message, depth + 1, left);
        }
        bytes = rest;
    }
}

/// A number of seven bits a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut found = 0;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        found |= u64::from(byte & 127) << (7 * place);
        if byte & 128 == 0 {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_without_content_are_counted() {
        let graph = |count: usize| {
            let nodes = [0x0a, 0x00].repeat(count);
            let mut length = nodes.len();
            let mut own = vec![0x3a];
            while length > 127 {
                own.push((length & 127) as u8 | 128);
                length >>= 7;
            }
            own.push(length as u8);
            [own, nodes].concat()
        };
        assert!(is_readable(&graph(1000)) && is_readable(b"\xff\xff no model"));
        assert!(!is_readable(&graph(MOST)));
    }
}

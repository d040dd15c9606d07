//! Any bytes behind a good head and checksum: read without a panic, in bounded memory, and what is accepted is a network
//! that can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secateur_sparse::file::{MAGIC, VERSION, decode, decode_within, encode, seal};

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    if let Some(head) = bytes.get_mut(..20) {
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        head[16..].copy_from_slice(&(data.len() as u32).to_le_bytes());
        seal(&mut bytes);
    }
    if let Ok(model) = decode_within(&bytes, 1 << 16) {
        let again = encode(&model.network, &model.info, model.precision).expect("it was in a file");
        assert_eq!(decode(&again).expect("just written").network, model.network);
    }
});

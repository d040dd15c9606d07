//! Answers of ONNX models: what `scripts/check-onnx` compares with ONNX Runtime's.
//!
//!   cargo run --release -p secateur-sparse --example import -- FOLDER
//!
//! Beside each `NAME.onnx` of the folder stands `NAME.images`, f32 of little-endian, image by image. The engine's answers go into
//! `NAME.answers`, those of the compacted network into `NAME.compacted`.

use secateur_sparse::import;
use secateur_sparse::infer::{Engine, Options};
use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("expected a folder")?);
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|own| own != "onnx") {
            continue;
        }
        let read =
            import::onnx_in(&folder, &fs::read(&path)?).map_err(|error| format!("{}: {error}", path.display()))?;
        read.remarks.iter().for_each(|own| println!("{}: {own}", path.display()));
        let bytes = fs::read(path.with_extension("images"))?;
        let images: Vec<f32> = bytes.as_chunks().0.iter().map(|own| f32::from_le_bytes(*own)).collect();
        for (network, end) in [(&read.network, "answers"), (&read.network.compacted().0, "compacted")] {
            let logits = Engine::of(network, &Options::new(16))?.logits(&images);
            let bytes: Vec<u8> = logits.iter().flat_map(|own| own.to_le_bytes()).collect();
            fs::write(path.with_extension(end), bytes)?;
        }
    }
    Ok(())
}

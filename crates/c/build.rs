//! Writes the header, so that it says what the library has.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=src/lib.rs");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    let root = std::env::var("CARGO_MANIFEST_DIR")?;
    cbindgen::generate(&root)?.write_to_file(format!("{root}/include/secateur.h"));
    Ok(())
}

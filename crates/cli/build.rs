//! Tells the program which commit it was built from, when git knows, and whether its sources were changed since.

use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = "../..";

fn main() {
    // What the program is made of, rather than all that lies below the root: a build, or a test, makes nothing of this anew.
    let mut sources = vec!["Cargo.toml".to_owned(), "Cargo.lock".to_owned()];
    for entry in fs::read_dir(Path::new(ROOT).join("crates")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let of_crate = ["Cargo.toml", "build.rs", "src"].map(|part| format!("crates/{name}/{part}"));
        sources.extend(of_crate.into_iter().filter(|path| Path::new(ROOT).join(path).exists()));
    }
    sources.sort();
    for path in &sources {
        println!("cargo:rerun-if-changed={ROOT}/{path}");
    }
    // Where HEAD is logged, in a work tree of its own as well.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={}", Path::new(ROOT).join(log).display());
    }
    let Some(commit) = git(&["rev-parse", "HEAD"]) else { return };
    let sources = sources.iter().map(String::as_str);
    let status: Vec<&str> = ["--no-optional-locks", "status", "--porcelain", "--"].into_iter().chain(sources).collect();
    let changed = git(&status).is_some_and(|changes| !changes.is_empty());
    println!("cargo:rustc-env=SECATEUR_COMMIT={commit}{}", if changed { "-dirty" } else { "" });
}

/// What git answers in the root of the repository; `None` where there is none, or no git.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(ROOT).output().ok()?;
    let text = output.status.success().then(|| String::from_utf8(output.stdout).ok()).flatten()?;
    Some(text.trim().to_owned())
}

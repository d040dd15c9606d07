//! Where a data folder lies that a config names by a relative path: the program is not always started beside its data.

use std::path::{Path, PathBuf};

/// The folder that `dir` names: as it is given, or else beside the config file or above it, or beside the program: in a folder
/// above it, as in a repository that was built, or in `share/secateur` as installed. `None` where there is none.
pub(crate) fn located(dir: &Path, config: &Path, program: Option<&Path>) -> Option<PathBuf> {
    if dir.exists() {
        return Some(dir.to_owned());
    }
    if dir.is_absolute() {
        return None;
    }
    let config = std::path::absolute(config).ok();
    let above = |file: Option<&Path>| -> Vec<PathBuf> {
        file.and_then(Path::parent).map_or(vec![], |folder| folder.ancestors().map(Path::to_owned).collect())
    };
    let installed = program.and_then(|file| Some(file.parent()?.parent()?.join("share/secateur")));
    let places = above(config.as_deref()).into_iter().chain(installed).chain(above(program));
    places.map(|place| place.join(dir)).find(|place| place.exists())
}

/// The file of this program.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::current_exe().ok()?.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn data_is_found_beside_the_config_or_the_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |path: &str| folder.path().join(path);
        let dir = Path::new("no-such-folder-here/digits");
        let (config, program) = (place("mine/configs/a.toml"), place("built/target/release/secateur"));
        let find = || located(dir, &config, Some(&program));
        fs::create_dir_all(place("mine/configs")).expect("made");
        assert_eq!(find(), None);
        for found in ["built/no-such-folder-here/digits", "built/target/share/secateur/no-such-folder-here/digits"] {
            fs::create_dir_all(place(found)).expect("made");
            assert_eq!(find(), Some(place(found)), "the later ones come first");
        }
        for found in ["mine/no-such-folder-here/digits", "mine/configs/no-such-folder-here/digits"] {
            fs::create_dir_all(place(found)).expect("made");
            assert_eq!(find(), Some(place(found)), "the nearest wins");
        }
        assert_eq!(located(folder.path(), &config, None), Some(folder.path().to_owned()), "as it is given");
        assert_eq!(located(&place("none"), &config, Some(&program)), None, "what is absolute lies nowhere else");
    }
}

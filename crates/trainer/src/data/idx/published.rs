//! Knows the published files by their SHA-256, so that a run's record says which data it saw, and an altered file shows.

use super::check::ROLES;
use crate::data::{Description, FileDigest};
use crate::files::digest as sha256_of;

/// What MNIST is, and Fashion-MNIST, too.
pub(crate) const MNIST: Description =
    Description { shape: [1, 28, 28], classes: 10, train: 60_000, test: 10_000, class_names: vec![] };

/// A published set and the SHA-256 of its raw files, in the order of [`ROLES`].
struct Published {
    name: &'static str,
    title: &'static str,
    sha256: [&'static str; 4],
}

const PUBLISHED: [Published; 2] = [
    Published {
        name: "mnist",
        title: "MNIST",
        sha256: [
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ],
    },
    Published {
        name: "fashion-mnist",
        title: "Fashion-MNIST",
        sha256: [
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ],
    },
];

/// What the four digests say about a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A published set, byte for byte; its name.
    Published(&'static str),
    /// Meant to be a published set, but some file differs; the words for a warning.
    Altered(String),
    /// A set of one's own; the words for a note.
    Own(String),
}

/// Judges a folder by its name and the digests of its files, in the order of [`ROLES`].
///
/// A folder is meant to be a published set if it has the set's name or at least one of its files; most files win, and
/// of two sets with as many the folder's name decides.
pub(super) fn judge(folder: &str, sha256: &[&str]) -> Verdict {
    let likeness = |set: &Published| {
        let same = set.sha256.iter().zip(sha256).filter(|(wanted, found)| wanted == found).count();
        (same, set.name == folder)
    };
    let [first, others @ ..] = &PUBLISHED;
    let set = others.iter().fold(first, |best, set| if likeness(set) > likeness(best) { set } else { best });
    match likeness(set) {
        (4, _) => Verdict::Published(set.name),
        (0, false) => {
            Verdict::Own(format!("`{folder}` is no published set: none of its four files has a known SHA-256"))
        }
        _ => Verdict::Altered(differences(set, sha256)),
    }
}

/// The digest of a file's raw bytes, and whether it is a published file in the place `index` of [`ROLES`].
pub(super) fn digest(index: usize, bytes: &[u8]) -> FileDigest {
    let sha256 = sha256_of(bytes);
    let known = PUBLISHED.iter().any(|set| set.sha256[index] == sha256);
    FileDigest { file: ROLES[index].name.to_owned(), sha256, known }
}

fn differences(set: &Published, sha256: &[&str]) -> String {
    let each = ROLES.iter().zip(set.sha256).zip(sha256).filter(|((_, wanted), found)| wanted != *found);
    let words = each.map(|((role, wanted), found)| {
        format!("`{}` is not {}'s published file: SHA-256 found {found}, wanted {wanted}", role.name, set.title)
    });
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_set_is_known_whatever_its_folder_is_called() {
        let [mnist, fashion] = &PUBLISHED;
        assert_eq!(judge("elsewhere", &mnist.sha256), Verdict::Published("mnist"));
        assert_eq!(judge("mnist", &fashion.sha256), Verdict::Published("fashion-mnist"));
    }

    #[test]
    fn an_altered_file_is_named_with_both_digests() {
        let [mnist, fashion] = &PUBLISHED;
        let mut altered = mnist.sha256;
        altered[1] = fashion.sha256[1];
        let Verdict::Altered(words) = judge("elsewhere", &altered) else { panic!("one file differs") };
        assert_eq!(
            words,
            format!(
                "`train-labels-idx1-ubyte` is not MNIST's published file: SHA-256 found {}, wanted {}",
                fashion.sha256[1], mnist.sha256[1]
            )
        );
    }

    #[test]
    fn a_folder_called_mnist_is_meant_to_be_it() {
        let strange = ["00"; 4];
        let Verdict::Altered(words) = judge("mnist", &strange) else { panic!("the name promises MNIST") };
        assert_eq!(words.matches("is not MNIST's published file: SHA-256 found 00, wanted").count(), 4);
        let Verdict::Altered(words) = judge("fashion-mnist", &strange) else { panic!("so does this one") };
        assert_eq!(words.matches("is not Fashion-MNIST's").count(), 4);
        assert!(matches!(judge("letters", &strange), Verdict::Own(words) if words.contains("`letters`")));
    }

    #[test]
    fn a_digest_is_that_of_the_raw_bytes() {
        let found = digest(1, b"abc");
        assert_eq!(found.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((found.file.as_str(), found.known), ("train-labels-idx1-ubyte", false));
    }
}

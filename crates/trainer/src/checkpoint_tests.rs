//! Law 5: a checkpoint that exists is complete; a damaged one is never used, the one before is.

use super::*;

fn order() -> Vec<String> {
    vec!["fc.weight".into(), "fc.bias".into()]
}

fn checkpoint(step: u64) -> Checkpoint {
    let parameters = vec![
        Parameter { name: "fc.weight".into(), shape: vec![2, 3], values: vec![step as f32, 0.1, -0.0, 0.0, 5.0, 6.0] },
        Parameter { name: "fc.bias".into(), shape: vec![3], values: vec![1.0, 2.0, 3.0] },
    ];
    let tensor = |field: &str| StateTensor {
        parameter: "fc.weight".into(),
        field: field.into(),
        shape: vec![2, 3],
        values: vec![0.5; 6],
    };
    let mut cursor = Cursor { stage: 3, stage_step: 2, step, log_bytes: 77, elapsed_ms: 5, ..Cursor::start() };
    cursor.tally.add(&[0.1; 10], &[1]);
    cursor.best = Some(Best { correct: 7, loss: 0.1 + 0.2 });
    cursor.counters = vec![("fc.weight".into(), "momentum.time".into(), step)];
    let counters = [(("fc.weight".to_owned(), "momentum.time".to_owned()), step)].into();
    Checkpoint {
        cursor,
        masks: MaskSet::new(vec![("fc.weight".into(), Mask::from_fn(&[2, 3], |index| index != 3))]),
        optimizer: OptimizerState { tensors: vec![tensor("momentum.moment_1"), tensor("momentum.moment_2")], counters },
        remembered: Some(parameters.clone()),
        best: None,
        parameters,
    }
}

/// Names and steps of what `newest` accepts.
fn newest_step(folder: &Path) -> Option<u64> {
    newest(folder, &order(), |checkpoint| Ok(checkpoint.cursor.step)).expect("readable").map(|(_, step)| step)
}

#[test]
fn loading_is_the_inverse_of_saving() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = checkpoint(12).save(folder.path(), 2).expect("saved");
    assert_eq!(name, "stage-000003-step-0000000012");
    assert_eq!(Checkpoint::load(&folder.path().join(&name), &order()).expect("loaded"), checkpoint(12));
    assert_eq!(checkpoint(12).save(folder.path(), 2).expect("again"), name);
}

#[test]
fn old_ones_go_and_names_sort_by_age() {
    let folder = tempfile::tempdir().expect("a folder");
    for step in [9, 10, 11, 100] {
        checkpoint(step).save(folder.path(), 2).expect("saved");
    }
    let names = list(folder.path()).expect("listed");
    assert_eq!(names, ["stage-000003-step-0000000011", "stage-000003-step-0000000100"]);
    assert_eq!(newest_step(folder.path()), Some(100));
}

#[test]
fn any_damage_falls_back_to_the_one_before() {
    type Harm = fn(&Path);
    let damage: [(&str, Harm); 6] = [
        (STATE, |path| flip(path, 300)),
        (STATE, |path| cut(path)),
        (CURSOR, |path| flip(path, 20)),
        (CURSOR, |path| fs::remove_file(path).expect("removed")),
        (SUMS, |path| cut(path)),
        (SUMS, |path| flip(path, 3)),
    ];
    for (file, harm) in damage {
        let folder = tempfile::tempdir().expect("a folder");
        checkpoint(1).save(folder.path(), 3).expect("saved");
        let bad = checkpoint(2).save(folder.path(), 3).expect("saved");
        harm(&folder.path().join(&bad).join(file));
        let error = Checkpoint::load(&folder.path().join(&bad), &order()).expect_err(file).to_string();
        assert!(error.contains(&bad), "{error}");
        assert_eq!(newest_step(folder.path()), Some(1), "{file}");
        // What was damaged is set aside, and its place can be filled again.
        assert!(folder.path().join(format!("{bad}.damaged")).exists());
        checkpoint(2).save(folder.path(), 3).expect("saved again");
        assert_eq!(newest_step(folder.path()), Some(2), "{file}");
    }
}

#[test]
fn a_half_written_folder_is_not_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join(".stage-000003-step-0000000002.tmp")).expect("made");
    assert_eq!(newest_step(folder.path()), None);
    checkpoint(2).save(folder.path(), 2).expect("saved over it");
    assert_eq!(newest_step(folder.path()), Some(2));
}

#[test]
fn a_checkpoint_of_another_model_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = checkpoint(1).save(folder.path(), 2).expect("saved");
    let other = ["fc.weight".to_owned(), "conv.weight".to_owned()];
    let error = Checkpoint::load(&folder.path().join(name), &other).expect_err("another model").to_string();
    assert!(error.contains("has no f32 tensor for conv.weight"), "{error}");
}

fn flip(path: &Path, place: usize) {
    let mut bytes = fs::read(path).expect("read");
    bytes[place] ^= 1;
    fs::write(path, bytes).expect("written");
}

fn cut(path: &Path) {
    let bytes = fs::read(path).expect("read");
    fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
}

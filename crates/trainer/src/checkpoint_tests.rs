//! Law 5: a checkpoint that exists is complete; a damaged one is never used, the one before is.

use super::*;

fn shapes() -> Vec<(String, Vec<usize>)> {
    vec![("fc.weight".into(), vec![2, 3]), ("fc.bias".into(), vec![3])]
}

/// A checkpoint at this step, of which the mask keeps these weights.
fn masked(step: u64, keeps: fn(usize) -> bool) -> Checkpoint {
    let mask = Mask::from_fn(&[2, 3], keeps);
    let weight = |values: [f32; 6]| mask.gather(&values);
    let parameters = |values: [f32; 6]| {
        let bias = Weights { name: "fc.bias".into(), shape: vec![3], kept: vec![1.0, 2.0, 3.0] };
        vec![Weights { name: "fc.weight".into(), shape: vec![2, 3], kept: weight(values) }, bias]
    };
    let moment = |field: &str, values: [f32; 6]| Moment {
        parameter: "fc.weight".into(),
        field: field.into(),
        kept: weight(values),
    };
    let mut cursor = Cursor { stage: 3, stage_step: 2, step, log_bytes: 77, elapsed_ms: 5, ..Cursor::start() };
    cursor.tally.add(&[0.1; 10], &[1]);
    cursor.best = Some(Best { correct: 7, loss: 0.1 + 0.2 });
    cursor.counters = vec![("fc.weight".into(), "momentum.time".into(), step)];
    let moments =
        vec![moment("momentum.moment_1", [0.5; 6]), moment("momentum.moment_2", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])];
    let counters = [(("fc.weight".to_owned(), "momentum.time".to_owned()), step)].into();
    let remembered = Some(parameters([0.25, 1.0, 2.0, 3.0, 4.0, 5.0]));
    let state =
        State { parameters: parameters([step as f32, 0.1, -0.0, 0.0, 5.0, 6.0]), moments, counters, shadows: false };
    Checkpoint {
        cursor,
        state,
        masks: MaskSet::new(vec![("fc.weight".into(), mask)]),
        remembered,
        best: None,
        average: None,
    }
}

fn checkpoint(step: u64) -> Checkpoint {
    masked(step, |index| index != 3)
}

impl Checkpoint {
    fn save(&self, checkpoints: &Path, keep: usize) -> Result<String, Error> {
        let Self { cursor, state, masks, remembered, best, average } = self;
        let [remembered, best, average] = [remembered, best, average].map(Option::as_deref);
        Snapshot { cursor, state, masks, remembered, best, average }.save(checkpoints, keep)
    }
}

/// Names and steps of what `newest` accepts.
fn newest_step(folder: &Path) -> Option<u64> {
    newest(folder, &shapes()).expect("readable").map(|(_, checkpoint)| checkpoint.cursor.step)
}

#[test]
fn loading_is_the_inverse_of_saving() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = checkpoint(12).save(folder.path(), 2).expect("saved");
    assert_eq!(name, "stage-000003-step-0000000012");
    assert_eq!(Checkpoint::load(&folder.path().join(&name), &shapes()).expect("loaded"), checkpoint(12));
    assert_eq!(checkpoint(12).save(folder.path(), 2).expect("again"), name);
}

#[test]
fn any_share_of_the_weights_comes_back_and_only_kept_ones_are_stored() {
    type Keeps = fn(usize) -> bool;
    let keeps: [(Keeps, &[usize]); 4] =
        [(|_| true, &[2, 3]), (|index| index != 3, &[5]), (|index| index == 4, &[1]), (|_| false, &[0])];
    for (keeps, stored) in keeps {
        let mut saved = masked(1, keeps);
        saved.best = Some(saved.state.parameters.clone());
        saved.average = saved.remembered.clone();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(saved.save(folder.path(), 2).expect("saved"));
        let file = TensorReader::open(&path.join(STATE)).expect("own file");
        for name in ["parameter/fc.weight", "optimizer/fc.weight/momentum.moment_2", "remembered/fc.weight"] {
            assert_eq!(file.shape(name), Some(stored), "{name}");
        }
        assert_eq!(file.shape("best/fc.bias"), Some(&[3][..]));
        assert_eq!(Checkpoint::load(&path, &shapes()).expect("loaded"), saved);
    }
}

#[test]
fn a_run_without_masks_and_an_optimizer_without_memory_come_back() {
    let mut saved = masked(1, |_| true);
    saved.masks = MaskSet::default();
    (saved.state.moments, saved.state.counters, saved.cursor.counters) = Default::default();
    saved.remembered = None;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(saved.save(folder.path(), 2).expect("saved"));
    assert_eq!(Checkpoint::load(&path, &shapes()).expect("loaded"), saved);
}

#[test]
fn what_does_not_fit_is_named_with_found_and_wanted() {
    type Change = for<'a> fn(&'a mut TensorFile<'static>);
    let changes: [(Change, &str); 7] = [
        (|file| file.add_f32("parameter/fc.weight".into(), &[4], &[0.0; 4]), "found shape [4], wanted shape [5]"),
        (|file| file.add_f32("parameter/fc.weight".into(), &[2, 3], &[0.0; 6]), "found shape [2, 3], wanted shape [5]"),
        (|file| file.add_f32("best/fc.weight".into(), &[5], &[0.0; 5]), "has no f32 tensor for best/fc.bias"),
        (|file| file.add_bytes("mask/fc.weight".into(), vec![1, 2]), "mask for `fc.weight` has 2 bytes, wanted 1"),
        (|file| file.add_bytes("mask/fc.weight".into(), vec![0xff]), "past its last element"),
        (
            |file| file.add_f32("optimizer/fc.bias/velocity".into(), &[2], &[0.0; 2]),
            "found shape [2], wanted shape [3]",
        ),
        (|file| file.add_f32("optimizer/fc9.bias/velocity".into(), &[2], &[0.0; 2]), "belongs to no parameter"),
    ];
    for (change, wanted) in changes {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(checkpoint(1).save(folder.path(), 2).expect("saved"));
        let mut file = TensorFile::default();
        file.add_f32("parameter/fc.weight".into(), &[5], &[0.0; 5]);
        file.add_f32("parameter/fc.bias".into(), &[3], &[0.0; 3]);
        file.add_bytes("mask/fc.weight".into(), vec![0b11_0111]);
        let write = |file: &TensorFile<'_>| {
            let state = stream_synced(&path.join(STATE), |out| file.write(&BTreeMap::new(), out)).expect("written");
            let cursor = sha256(&path.join(CURSOR)).expect("read");
            fs::write(path.join(SUMS), format!("{}  {STATE}\n{cursor}  {CURSOR}\n", state.sha256)).expect("written");
        };
        write(&file);
        Checkpoint::load(&path, &shapes()).expect("good so far");
        change(&mut file);
        write(&file);
        let error = Checkpoint::load(&path, &shapes()).expect_err(wanted).to_string();
        assert!(error.contains(wanted) && error.contains(STATE), "{error}");
    }
}

#[test]
fn another_version_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut old = checkpoint(1);
    old.cursor.v = 1;
    let path = folder.path().join(old.save(folder.path(), 2).expect("saved"));
    let error = Checkpoint::load(&path, &shapes()).expect_err("an old one").to_string();
    assert!(error.contains("the checkpoint has version 1, this program reads 4"), "{error}");
}

#[test]
fn a_checkpoint_without_the_checksum_of_the_log_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut old = checkpoint(1);
    old.cursor.v = 2;
    let path = folder.path().join(old.save(folder.path(), 2).expect("saved"));
    let found = Checkpoint::load(&path, &transposed_shapes()).expect("an old one");
    assert_eq!(found.cursor, checkpoint(1).cursor);
}

fn transposed_shapes() -> Vec<(String, Vec<usize>)> {
    vec![("fc.weight".into(), vec![3, 2]), ("fc.bias".into(), vec![3])]
}

#[test]
fn matrices_of_version_3_are_transposed() {
    for latent in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut old = checkpoint(1);
        old.cursor.v = 3;
        if latent {
            // Values and moments are whole, whatever the mask says.
            old = masked(1, |_| true);
            old.cursor.v = 3;
            old.masks = checkpoint(1).masks;
            (old.cursor.shadows, old.state.shadows) = (true, true);
        }
        old.best = Some(old.state.parameters.clone());
        let path = folder.path().join(old.save(folder.path(), 2).expect("saved"));
        let found = Checkpoint::load(&path, &transposed_shapes()).expect("an old one");
        // `[[0, 1, 2], [x, 4, 5]]` by index: the mask prunes the 3.
        let mask = Mask::from_fn(&[3, 2], |index| index != 1);
        assert_eq!(found.masks, MaskSet::new(vec![("fc.weight".into(), mask)]));
        let expected = |values: [f32; 6]| match latent {
            true => values.to_vec(),
            false => [&values[..1], &values[2..]].concat(),
        };
        let weight = |own: &[Weights]| (own[0].shape.clone(), own[0].kept.clone());
        let values = expected([1.0, 0.0, 0.1, 5.0, -0.0, 6.0]);
        assert_eq!(weight(&found.state.parameters), (vec![3, 2], values.clone()), "{latent}");
        assert_eq!(weight(&found.best.clone().expect("there")), (vec![3, 2], values));
        let remembered = expected([0.25, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(weight(&found.remembered.clone().expect("there")), (vec![3, 2], remembered));
        assert_eq!(found.state.moments[1].kept, expected([1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
        assert_eq!(found.state.parameters[1], old.state.parameters[1]);
        // What is saved of it comes back as it is.
        let again = folder.path().join("again");
        fs::create_dir(&again).expect("a folder");
        let path = again.join(found.save(&again, 2).expect("saved"));
        assert_eq!(Checkpoint::load(&path, &transposed_shapes()).expect("a new one"), found);
    }
}

#[test]
fn a_best_loss_that_is_not_finite_comes_back() {
    for loss in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.1 + 0.2] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut own = checkpoint(1);
        own.cursor.best = Some(Best { correct: 7, loss });
        let path = folder.path().join(own.save(folder.path(), 2).expect("saved"));
        let found = Checkpoint::load(&path, &shapes()).expect("readable").cursor.best.expect("a best epoch").loss;
        assert!(found == loss || (found.is_nan() && loss.is_nan()), "{loss}: {found}");
    }
    let earlier: Best = serde_json::from_str(r#"{"correct":7,"loss":null}"#).expect("as earlier versions wrote it");
    assert!(earlier.loss.is_nan());
}

#[test]
fn what_is_wrong_but_not_damaged_is_an_error_and_stays_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = [1, 2].map(|step| checkpoint(step).save(folder.path(), 3).expect("saved"));
    let other = [("fc.weight".to_owned(), vec![2, 3]), ("conv.weight".to_owned(), vec![1])];
    newest(folder.path(), &other).expect_err("another experiment");
    let mut newer = checkpoint(3);
    newer.cursor.v = 9;
    let newer = newer.save(folder.path(), 3).expect("saved");
    newest(folder.path(), &shapes()).expect_err("another version");
    let [first, second] = names;
    assert_eq!(list(folder.path()).expect("listed"), [first, second, newer]);
}

#[test]
fn a_checkpoint_makes_no_folder_for_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let gone = folder.path().join("removed/checkpoints");
    checkpoint(1).save(&gone, 2).expect_err("nothing is there");
    assert!(!folder.path().join("removed").exists());
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
        let error = Checkpoint::load(&folder.path().join(&bad), &shapes()).expect_err(file).to_string();
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
    let other = [("fc.weight".to_owned(), vec![2, 3]), ("conv.weight".to_owned(), vec![1])];
    let error = Checkpoint::load(&folder.path().join(name), &other).expect_err("another model").to_string();
    assert!(error.contains("has no f32 tensor for parameter/conv.weight"), "{error}");
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

//! Laws of the model file, over random networks of every kind of layer; it leaves files in the build folder, which
//! `scripts/check-format` compares with what the reader in `docs/` makes of them.

mod fuzzing;
mod networks;

use networks::{Random, lenet, network, pruned};
use secateur_sparse::file::{Coding, Error, HEAD, Info, Precision, Scale, check_head, decode, encode, quantized, seal};
use secateur_sparse::{Affine, InstructionSet, Layer, Network, Ranges};
use std::path::{Path, PathBuf};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::F16, Precision::Int8];

fn info(name: &str) -> Info {
    Info {
        name: name.into(),
        scales: vec![Scale { divisor: 255.0, shift: -0.5 }],
        classes: vec![],
        ranges: Ranges::default(),
    }
}

fn encoded(network: &Network, precision: Precision) -> Vec<u8> {
    encode(network, &info("a network"), precision).expect("finite")
}

#[test]
fn what_is_read_is_what_was_written() {
    for seed in 0..300 {
        let network = network(&mut Random(seed));
        for precision in PRECISIONS {
            let bytes = encoded(&network, precision);
            let model = decode(&bytes).expect("just written");
            assert_eq!(model.network, quantized(&network, precision).expect("finite"), "{seed} {precision:?}");
            assert_eq!((&model.info, model.precision), (&info("a network"), precision));
            assert!(precision != Precision::F32 || model.network == network, "{seed}");
            // A second time changes nothing.
            let again = decode(&encoded(&model.network, precision)).expect("just written");
            assert_eq!(again.network, model.network, "{seed} {precision:?}");
            assert_eq!(bytes, encoded(&network, precision));
        }
    }
}

#[test]
fn rounding_is_as_fine_as_the_precision_says() {
    let network = pruned(&lenet(), &[0.5; 5], &mut Random(1));
    let [half, int8] =
        [Precision::F16, Precision::Int8].map(|precision| quantized(&network, precision).expect("finite"));
    for ((before, half), int8) in network.parameters().zip(half.parameters()).zip(int8.parameters()) {
        for (before, after) in before.weight.iter().zip(half.weight) {
            assert!((before - after).abs() <= before.abs().max(1.0 / 16_384.0) / 2048.0, "{before} became {after}");
        }
        let columns = before.weight.len() / before.shape[0];
        let (mut own, mut plain) = (0.0, 0.0);
        for (before, after) in before.weight.chunks(columns).zip(int8.weight.chunks(columns)) {
            // The plain scale puts the largest value on 127.
            let step = before.iter().fold(0f32, |largest, value| largest.max(value.abs())) / 127.0;
            plain += before.iter().map(|value| (value - (value / step).round() * step).powi(2)).sum::<f32>();
            own += before.iter().zip(after).map(|(before, after)| (before - after).powi(2)).sum::<f32>();
        }
        assert!(own < plain, "{}: {own}, plainly {plain}", before.name);
    }
}

#[test]
fn a_zero_is_not_stored_and_has_no_sign() {
    let affine = Affine { name: "a".into(), scale: vec![-0.0, 0.0, 0.0, 1.0], shift: vec![-0.0; 4] };
    let network = Network::new([4, 1, 1], vec![Layer::Affine(affine)]).expect("fits");
    let model = decode(&encoded(&network, Precision::F32)).expect("just written");
    let Layer::Affine(own) = &model.network.layers()[0] else { panic!("an affine layer") };
    assert!(own.scale[0].is_sign_positive() && own.shift[1].is_sign_positive());
    assert_eq!((model.sizes[0].stored, model.sizes[0].value_bytes), (1, 4));
    // Three zeros before the one: with a bit of remainder that takes three bits, as a bitmap four.
    assert_eq!(model.sizes[0].coding, Coding::Rice { remainder: 1 });
}

#[test]
fn what_cannot_be_stored_is_refused_by_name() {
    let with = |value: f32| {
        let affine = Affine { name: "bn1".into(), scale: vec![1.0, value], shift: vec![0.0; 2] };
        Network::new([2, 1, 1], vec![Layer::Affine(affine)]).expect("fits")
    };
    let error = encode(&with(f32::NAN), &info(""), Precision::F16).expect_err("not a number");
    assert_eq!(error.to_string(), "`bn1.scale`, value 1, is NaN: only finite values can be stored");
    let scales = |scales: &[Scale]| {
        encode(&with(0.0), &Info { scales: scales.to_vec(), ..info("") }, Precision::F16)
            .expect_err("no scales")
            .to_string()
    };
    let sound = Scale { divisor: 1.0, shift: 0.0 };
    for (odd, value) in [(Scale { divisor: 0.0, ..sound }, "0"), (Scale { shift: f32::INFINITY, ..sound }, "inf")] {
        let expected = format!(
            "the scale of a channel, value 1, is {value}: divisor and shift have to be finite, and the divisor not 0"
        );
        assert_eq!(scales(&[sound, odd]), expected);
    }
    assert_eq!(scales(&[sound; 3]), "3 scales are given for images of 2 channels, expected 1 or 2");
    assert_eq!(info("").input(&[51]).collect::<Vec<_>>(), [51.0 / 255.0 - 0.5]);
}

#[test]
fn channels_may_have_scales_of_their_own() {
    let affine = Affine { name: "a".into(), scale: vec![1.0; 2], shift: vec![0.0; 2] };
    let network = Network::new([2, 1, 2], vec![Layer::Affine(affine)]).expect("fits");
    let (first, second) = (Scale { divisor: 2.0, shift: 1.0 }, Scale { divisor: 4.0, shift: -1.0 });
    let with = |scales: &[Scale]| {
        let info = Info { scales: scales.to_vec(), ..info("two") };
        let bytes = encode(&network, &info, Precision::F32).expect("finite");
        (bytes[8], decode(&bytes).expect("just written").info, bytes)
    };
    let (version, found, bytes) = with(&[first, second]);
    assert_eq!((version, &found.scales[..]), (2, &[first, second][..]));
    assert_eq!(found.input(&[2, 4, 4, 8]).collect::<Vec<_>>(), [2.0, 3.0, 0.0, 1.0]);
    // Where one is enough, there is one, and the file is of version 1.
    let (version, found, one) = with(&[first, first]);
    assert_eq!((version, &found.scales[..]), (1, &[first][..]));
    assert_eq!(found.input(&[2, 4, 4, 8]).collect::<Vec<_>>(), [2.0, 3.0, 3.0, 5.0]);
    assert_eq!(decode(&bytes).expect("just written").network, decode(&one).expect("just written").network);
    // As no writer leaves them: the same scale twice, none, more than there are bytes.
    let scales = 24;
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        let length = (bytes.len() as u32).to_le_bytes();
        bytes[16..20].copy_from_slice(&length);
        seal(&mut bytes);
        decode(&bytes).expect_err("refused").to_string()
    };
    let same = changed(&|bytes| bytes.copy_within(scales + 4..scales + 12, scales + 12));
    assert!(same.contains("wanted one, or one for each channel"), "{same}");
    let none = changed(&|bytes| {
        bytes[scales] = 0;
        bytes.drain(scales + 4..scales + 20);
    });
    assert!(none.contains("the scales is 0 for 2 channels"), "{none}");
    let endless = changed(&|bytes| bytes[scales..scales + 4].fill(0xff));
    assert!(endless.contains("byte "), "{endless}");
}

#[test]
fn a_file_cut_off_or_with_one_bit_changed_is_refused() {
    for precision in PRECISIONS {
        let bytes = encoded(&network(&mut Random(7)), precision);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(decode(&longer), Err(Error::Length { found: bytes.len() as u64 + 1, wanted: bytes.len() as u64 }));
        let length = bytes.len() as u64;
        assert_eq!(check_head(&bytes[..HEAD], length), Ok(()));
        assert_eq!(check_head(&bytes[..HEAD], 10 << 30), Err(Error::Length { found: 10 << 30, wanted: length }));
        assert!(check_head(&bytes[..HEAD - 1], length).is_err() && check_head(&[0; HEAD], length).is_err());
        let mut damaged = bytes.clone();
        for bit in 0..8 * bytes.len() {
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "bit {bit}");
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(decode(&damaged).is_ok());
    }
}

/// A file with a good checksum can still say anything: each of its words becomes what hurts most.
#[test]
fn a_sealed_lie_is_refused_or_is_another_network() {
    let words = [0, 1, 2, 3, 31, 32, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX, u32::MAX - 3, 0x1000_0000];
    let mut sets = InstructionSet::available().into_iter().cycle();
    let mut refused = 0;
    for (seed, precision) in (0..60).zip(PRECISIONS.into_iter().cycle()) {
        let bytes = encoded(&network(&mut Random(seed)), precision);
        for place in (16..bytes.len().min(400)).step_by(4) {
            for word in words {
                let mut lie = bytes.clone();
                lie[place..place + 4].copy_from_slice(&u32::to_le_bytes(word));
                seal(&mut lie);
                refused += usize::from(fuzzing::read(&lie).is_none());
                if let Some(model) = fuzzing::read_graph(&lie) {
                    fuzzing::ask_graph(&model, sets.next().expect("there is always one"));
                }
            }
        }
    }
    assert!(refused > 10_000, "{refused}");
}

/// The fuzzer's corpus, as the fuzz targets take it.
#[test]
fn what_the_fuzzer_found_worth_keeping_is_refused_or_is_a_network() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/model_file");
    let paths = std::fs::read_dir(folder).expect("the corpus is there").map(|entry| entry.expect("readable").path());
    let mut accepted = [0, 0];
    for path in paths {
        let bytes = fuzzing::sealed(&std::fs::read(path).expect("readable"));
        if let Some(model) = fuzzing::read_graph(&bytes) {
            InstructionSet::available().into_iter().for_each(|set| fuzzing::ask_graph(&model, set));
        }
        accepted[usize::from(fuzzing::read(&bytes).is_some())] += 1;
    }
    assert!(accepted[0] > 0 && accepted[1] > 0, "{accepted:?} refused and accepted");
}

#[test]
fn a_small_file_that_asks_for_a_large_network_is_refused() {
    let network = Network::new([1, 1, 1], vec![Layer::linear("fc1", 1, 3)]).expect("fits");
    let mut bytes = encoded(&network, Precision::F32);
    // The layer follows the name, `a network`.
    let place = 16 + 16 + 4 + 12 + 16;
    assert_eq!(bytes[place..place + 12], [1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0]);
    bytes[place + 4..place + 12].copy_from_slice(&[0, 0, 1, 0, 0, 0, 1, 0]);
    seal(&mut bytes);
    let error = decode(&bytes).expect_err("too large");
    assert_eq!(error.to_string(), "`fc1.weight` asks for 4294967296 places, at most 268435456 are allowed");
}

/// The numbers that a pruned LeNet of width 5 has to keep at 98 % sparsity, in bytes.
#[test]
fn a_lenet_at_98_percent_takes_no_more_than_90_and_60_kilobytes() {
    let shares = [[0.02; 5], [0.6, 0.1, 0.0187, 0.0142, 0.3], [0.9, 0.25, 0.0125, 0.02, 0.9]];
    for (name, shares) in ["uniform", "by layer", "late layers"].into_iter().zip(shares) {
        let network = pruned(&lenet(), &shares, &mut Random(5));
        let cost = network.cost();
        let left = cost.nonzero as f64 / cost.parameters as f64;
        let sizes = PRECISIONS.map(|precision| encoded(&network, precision).len());
        println!("{name}: {} of {} parameters left, {sizes:?} bytes", cost.nonzero, cost.parameters);
        assert!((0.0185..0.0205).contains(&left), "{left}");
        assert!(sizes[1] <= 90_000 && sizes[2] <= 60_000, "{sizes:?}");
    }
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("format");
    std::fs::create_dir_all(&folder).expect("the build folder can be written");
    folder
}

/// The example of `docs/format.md`: a file of each of its bytes, so a change of the format shows there.
#[test]
fn the_example_in_the_documents_is_what_is_written() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format.md");
    let page = std::fs::read_to_string(page).expect("the page is there").replace("\r\n", "\n");
    let drawn = page.split("```hex\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let hex = drawn.lines().flat_map(|line| line.split("  ").next().into_iter().flat_map(str::split_whitespace));
    let drawn: Vec<u8> = hex.map(|byte| u8::from_str_radix(byte, 16).expect("two digits")).collect();
    let mut layers = vec![Layer::linear("fc", 4, 3), Layer::Relu];
    if let Layer::Linear(own) = &mut layers[0] {
        (own.weight[1], own.weight[8], own.weight[10], own.bias[2]) = (0.5, -1.0, 2.0, 0.25);
    }
    let network = Network::new([4, 1, 1], layers).expect("fits");
    let bytes = encode(&network, &info("tiny"), Precision::F16).expect("finite");
    let lines: Vec<String> =
        bytes.chunks(4).map(|word| word.iter().map(|byte| format!("{byte:02x} ")).collect()).collect();
    assert!(drawn == bytes, "{}", lines.join("\n"));
    assert_eq!(decode(&drawn).expect("good").network, network);
}

/// For `scripts/check-format`: files, and beside each all values of its tensors as f32, layer by layer.
#[test]
fn files_for_other_readers() {
    let folder = folder();
    let mut networks: Vec<(String, Network)> =
        (0..40).map(|seed| (format!("random-{seed:02}"), network(&mut Random(seed)))).collect();
    networks.push(("lenet".into(), pruned(&lenet(), &[0.6, 0.1, 0.0187, 0.0142, 0.3], &mut Random(5))));
    for (name, network) in networks {
        for precision in PRECISIONS {
            let path = folder.join(format!("{name}-{precision:?}.secateur").to_lowercase());
            let rounded = quantized(&network, precision).expect("finite");
            let values = rounded.layers().iter().flat_map(|layer| match layer {
                Layer::Affine(own) => [own.scale.clone(), own.shift.clone()].concat(),
                _ => layer.parameters().map_or(vec![], |own| [own.weight, own.bias].concat()),
            });
            std::fs::write(&path, encoded(&network, precision)).expect("writes");
            let values: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
            std::fs::write(path.with_extension("f32"), values).expect("writes");
        }
    }
}

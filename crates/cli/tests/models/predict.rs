//! `secateur predict`: the same answer however an image is stored, and an error for whatever is no image.

use super::*;
use png::{BitDepth, ColorType};
use secateur_sparse::infer::{Engine, Options};
use secateur_trainer::config::{DataConfig, Source};
use secateur_trainer::data;
use secateur_trainer::inference::answer;
use serde_json::Value;
use std::io::Write as _;

const SIDE: u32 = 28;

/// Three synthetic images as bytes.
fn images() -> Vec<Vec<u8>> {
    let config = DataConfig { source: Source::Synthetic, synthetic_train: 3, ..DataConfig::default() };
    let drawn = data::load(&config, 9).expect("drawn").train;
    (0..3).map(|image| drawn.picture(image)).collect()
}

fn png(sides: [u32; 2], color: ColorType, depth: BitDepth, samples: &[u8]) -> Vec<u8> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, sides[0], sides[1]);
    encoder.set_color(color);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().expect("into memory");
    writer.write_image_data(samples).expect("as many as were told");
    writer.finish().expect("into memory");
    bytes
}

fn idx(images: &[Vec<u8>]) -> Vec<u8> {
    let head = [0x803, images.len() as u32, SIDE, SIDE].map(u32::to_be_bytes).concat();
    [&head[..], &images.concat()].concat()
}

/// An npz file whose array `x` holds these numbers for each image.
fn npz(images: &[Vec<f32>]) -> Vec<u8> {
    let shape = format!("({}, {})", images.len(), images[0].len());
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
    header.push('\n');
    let head = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    let values: Vec<u8> = images.iter().flatten().flat_map(|own| own.to_le_bytes()).collect();
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    writer.start_file("x.npy", zip::write::SimpleFileOptions::default()).expect("into memory");
    writer.write_all(&[head, values].concat()).expect("into memory");
    writer.finish().expect("into memory").into_inner()
}

fn predict(args: &[&str]) -> Vec<Value> {
    let said = succeed(&[&["predict", text(run()), "--json"], args].concat());
    said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What the network sees of an image.
fn input(image: &[u8]) -> Vec<f32> {
    image.iter().map(|byte| f32::from(*byte) / 255.0 - 0.5).collect()
}

/// Logits as the slow reference gives them.
fn wanted(image: &[u8]) -> Vec<f32> {
    network().forward(&input(image))
}

fn check(found: &Value, image: &[u8]) {
    let wanted = wanted(image);
    let logits = found["logits"].as_array().expect("a list").iter().map(|own| own.as_f64().expect("a number"));
    let delta = logits.zip(&wanted).map(|(own, wanted)| (own - f64::from(*wanted)).abs()).fold(0.0, f64::max);
    assert!(delta < 1e-3, "{found}");
    assert_eq!(found["answer"].as_u64(), Some(answer(&wanted) as u64));
    let shares = found["probabilities"].as_array().expect("a list").iter().map(|own| own.as_f64().expect("a number"));
    assert!((shares.sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn a_picture_is_answered_alike_however_it_is_stored() {
    let (folder, image) = (folder(), images().remove(1));
    let every = |samples: &dyn Fn(u8) -> Vec<u8>| image.iter().flat_map(|byte| samples(*byte)).collect::<Vec<u8>>();
    let (eight, sixteen) = (BitDepth::Eight, BitDepth::Sixteen);
    let paths = [
        ("grey", ColorType::Grayscale, eight, image.clone()),
        ("grey16", ColorType::Grayscale, sixteen, every(&|own| vec![own, own])),
        ("grey-alpha", ColorType::GrayscaleAlpha, eight, every(&|own| vec![own, 255])),
        ("rgb", ColorType::Rgb, eight, every(&|own| vec![own; 3])),
        ("rgb16", ColorType::Rgb, sixteen, every(&|own| vec![own; 6])),
        ("rgba", ColorType::Rgba, eight, every(&|own| vec![own, own, own, 255])),
        ("ink-alpha", ColorType::Rgba, eight, every(&|own| vec![255, 255, 255, own])),
    ]
    .map(|(name, color, depth, samples)| {
        written(folder.path(), &format!("{name}.png"), &png([SIDE; 2], color, depth, &samples))
    });
    let found = predict(&paths.each_ref().map(|path| text(path)));
    assert_eq!(found.len(), paths.len());
    for (found, path) in found.iter().zip(&paths) {
        assert_eq!(found["image"], text(path));
        check(found, &image);
    }
    let turned = every(&|own| vec![255 - own]);
    let path = written(folder.path(), "ink.png", &png([SIDE; 2], ColorType::Grayscale, eight, &turned));
    check(&predict(&[text(&path), "--invert"])[0], &image);
}

#[test]
fn an_idx_file_is_answered_image_by_image_or_at_one_place() {
    let (folder, images) = (folder(), images());
    let path = written(folder.path(), "three-idx3-ubyte", &idx(&images));
    let found = predict(&[text(&path)]);
    assert_eq!(found.len(), 3);
    for (place, (found, image)) in found.iter().zip(&images).enumerate() {
        assert_eq!(found["image"], format!("{}[{place}]", path.display()));
        check(found, image);
    }
    // To the last digit what the engine answers that no clock chose.
    let options = Options { threads: 1, ..Options::new(1) };
    let mut engine = Engine::of(&model().network, &options).expect("it fits");
    for (found, image) in found.iter().zip(&images) {
        let pixels = input(image);
        let logits: Vec<f32> = serde_json::from_value(found["logits"].clone()).expect("a list");
        assert_eq!(logits, engine.logits(&pixels));
    }
    let one = predict(&[text(&path), "--index", "2"]);
    assert_eq!((one.len(), &one[0]), (1, &found[2]));
    let mnist = root().join("datasets/mnist/t10k-images-idx3-ubyte.gz");
    assert_eq!(predict(&[text(&mnist), "--index", "9999"]).len(), 1, "packed files are read, too");
}

#[test]
fn words_name_the_image_the_digit_and_the_runners_up() {
    let (folder, image) = (folder(), images().remove(0));
    let path = written(folder.path(), "bar.png", &png([SIDE; 2], ColorType::Grayscale, BitDepth::Eight, &image));
    let said = succeed(&["predict", text(run()), text(&path)]);
    let digit = answer(&wanted(&image));
    assert!(said.starts_with(&format!("{}: {digit} (", path.display())) && said.contains("%), then "), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn black_on_white_is_noticed_with_the_way_out() {
    let (folder, images) = (folder(), images());
    let grey = |name: &str, pixels: &[u8]| {
        written(folder.path(), name, &png([SIDE; 2], ColorType::Grayscale, BitDepth::Eight, pixels))
    };
    // Synthetic images are noisy, so the two are made of one colour each.
    let bar = |ground: u8| -> Vec<u8> {
        (0..784).map(|place| if (10..18).contains(&(place % 28)) { 255 - ground } else { ground }).collect()
    };
    let (light, dark) = (grey("light.png", &bar(255)), grey("dark.png", &bar(0)));
    let said = |args: &[&str]| {
        let output = output(&[&["predict", text(run())], args].concat());
        assert!(output.status.success());
        stderr(&output)
    };
    assert!(said(&[text(&light)]).contains("light.png: looks black on white"), "{}", said(&[text(&light)]));
    assert!(said(&[text(&light)]).contains("add --invert"));
    assert!(said(&[text(&dark), "--invert"]).contains("leave --invert out"));
    assert_eq!([said(&[text(&dark)]), said(&[text(&light), "--invert"])], ["", ""]);
    assert_eq!(predict(&[text(&light), "--invert"])[0]["logits"], predict(&[text(&dark)])[0]["logits"]);
    // Black ink on nothing is black on white, too.
    let ink: Vec<u8> = bar(0).iter().flat_map(|own| [0, 0, 0, *own]).collect();
    let ink = written(folder.path(), "ink.png", &png([SIDE; 2], ColorType::Rgba, BitDepth::Eight, &ink));
    assert!(said(&[text(&ink)]).contains("add --invert"));
    assert_eq!(predict(&[text(&ink), "--invert"])[0]["logits"], predict(&[text(&dark)])[0]["logits"]);
    let many = written(folder.path(), "many", &idx(&images));
    assert_eq!(said(&[text(&many)]), "", "images of the training set are as they should be");
}

#[test]
fn another_size_is_fitted_in_where_that_is_asked_for() {
    let (folder, image) = (folder(), images().remove(2));
    // Each pixel ten times as wide and as high: by area that is the image itself.
    let large: Vec<u8> = (0..280 * 280).map(|place| image[place / 280 / 10 * 28 + place % 280 / 10]).collect();
    let large = png([280, 280], ColorType::Grayscale, BitDepth::Eight, &large);
    let path = written(folder.path(), "large.png", &large);
    check(&predict(&[text(&path), "--resize"])[0], &image);
    let said = fail(&["predict", text(run()), text(&path)]);
    assert!(said.contains("found an image of 280 x 280 pixels, expected 28 x 28; --resize fits it in"), "{said}");
}

#[test]
fn what_is_no_image_of_the_models_size_is_named() {
    let folder = folder();
    let write = |name: &str, bytes: &[u8]| written(folder.path(), name, bytes);
    let grey =
        |sides: [u32; 2]| png(sides, ColorType::Grayscale, BitDepth::Eight, &vec![7; (sides[0] * sides[1]) as usize]);
    let good = grey([SIDE; 2]);
    let three = idx(&images());
    let mut labels = three.clone();
    labels[3] = 1;
    let mut boastful = three.clone();
    boastful[4..16].fill(0xff);
    let mut faults = vec![
        (folder.path().join("none.png"), "none.png"),
        (folder.path().to_owned(), text(folder.path())),
        (write("wide.png", &grey([29, 28])), "found an image of 28 x 29 pixels, expected 28 x 28; --resize"),
        (write("empty", b""), "wanted a header of 16"),
        (write("words", b"a picture of a seven, in words"), "wanted 0x00000803 of IDX images, or a PNG"),
        (write("labels", &labels), "0x00000801"),
        (write("cut-idx", &three[..three.len() - 1]), "cut short"),
        (write("long-idx", &[&three[..], &[0]].concat()), "more bytes"),
        (write("boastful", &boastful), "wanted at most"),
        (write("no.gz", &three), "no.gz"),
    ];
    // A header that asks for 14 GB, and nothing behind it.
    let mut header = vec![];
    let mut encoder = png::Encoder::new(&mut header, 60_000, 60_000);
    encoder.set_color(ColorType::Rgba);
    drop(encoder.write_header().expect("into memory"));
    faults.push((write("huge.png", &header), "huge.png"));
    for end in [8, 20, 33, 40, good.len() / 2, good.len() - 13] {
        faults.push((write(&format!("cut{end}.png"), &good[..end]), "no picture that can be read"));
    }
    for place in [12, 18, 24, 25, 30] {
        let mut bytes = good.clone();
        bytes[place] ^= 0x55;
        faults.push((write(&format!("bit{place}.png"), &bytes), ".png"));
    }
    for (path, wanted) in faults {
        let said = fail(&["predict", text(run()), text(&path)]);
        assert!(said.contains(wanted), "{}: {said}", path.display());
    }
    for (name, first, wanted) in [
        ("seven.jpg", &b"\xff\xd8\xff\xe0\0\x10JFIF"[..], "no picture that can be read"),
        ("seven.gif", b"GIF89a", "GIF is not read"),
    ] {
        assert!(fail(&["predict", text(run()), text(&write(name, first))]).contains(wanted), "{name}");
    }
    let said = fail(&["predict", text(run()), text(&write("good.png", &good)), "--index", "0"]);
    assert!(said.contains("--index 0 counts the images of an IDX file, found a picture"), "{said}");
    let path = write("three", &three);
    assert!(fail(&["predict", text(run()), text(&path), "--index", "3"]).contains("found 3 images"));
    for (path, wanted) in no_models(folder.path()) {
        let said = fail(&["predict", text(&path), text(&folder.path().join("wide.png"))]);
        assert!(said.contains(wanted), "{}: {said}", path.display());
    }
    assert_eq!(output(&["predict", text(run())]).status.code(), Some(2), "an image is asked for");
}

#[test]
fn inputs_of_an_npz_file_are_answered_as_the_network_takes_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let images = images();
    let inputs: Vec<Vec<f32>> = images.iter().map(|image| input(image)).collect();
    let path = written(folder.path(), "inputs.npz", &npz(&inputs));
    let all = predict(&[text(&path)]);
    assert_eq!(all.len(), 3);
    for (place, (found, image)) in all.iter().zip(&images).enumerate() {
        check(found, image);
        assert_eq!(found["image"], format!("{}[{place}]", path.display()));
    }
    assert_eq!(predict(&[text(&path), "--index", "1"]), all[1..2]);
    let beyond = fail(&["predict", text(run()), text(&path), "--index", "3"]);
    assert!(beyond.contains("--index 3: found 3 inputs, counted from 0"), "{beyond}");
    let mut broken = inputs[..2].to_vec();
    broken[1][5] = f32::NAN;
    let broken = written(folder.path(), "broken.npz", &npz(&broken));
    let said = fail(&["predict", text(run()), text(&broken)]);
    assert!(said.contains("value 5 of input 1 is NaN, expected a finite number"), "{said}");
    let wide = written(folder.path(), "wide.npz", &npz(&[vec![0.0; 5]]));
    assert!(fail(&["predict", text(run()), text(&wide)]).contains("x: found shape [1, 5], expected [n, ...]"));
}

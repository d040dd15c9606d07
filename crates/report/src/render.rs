//! A chart as the bytes of an SVG or PNG file. The same chart gives the same bytes on every machine: the font is
//! compiled in, and there is no clock.

use std::sync::Once;

use plotters::backend::{BitMapBackend, RGBPixel};
use plotters::drawing::IntoDrawingArea;
use plotters::style::{FontStyle, register_font};

use crate::chart::Chart;
use crate::draw::{FONT, Layout, Pen, Vector, draw};
use crate::error::Error;

/// Pixels of a PNG for one of the layout, so that it is sharp on a dense screen.
pub(crate) const PNG_SCALE: u32 = 2;
/// Pixels drawn for one of the PNG along each side, averaged: plotters draws shapes with hard edges.
const SAMPLES: u32 = 2;

/// The chart as SVG.
///
/// # Errors
/// When it cannot be drawn; names the chart.
pub fn svg(chart: &Chart, layout: Layout) -> Result<String, Error> {
    load_font();
    let mut vector = Vector::new(layout.size(chart));
    draw(&printable(chart), layout, &mut vector);
    Ok(vector.finish())
}

/// The chart as PNG, two pixels for each pixel of the layout.
///
/// # Errors
/// When it cannot be drawn or encoded; names the chart.
pub fn png(chart: &Chart, layout: Layout) -> Result<Vec<u8>, Error> {
    let (width, height) = layout.size(chart);
    let (width, height) = (width * PNG_SCALE, height * PNG_SCALE);
    encode(width, height, &pixels(chart, layout)?).map_err(|error| fault(chart, error.to_string()))
}

/// The RGB pixels of a PNG, row by row.
pub(crate) fn pixels(chart: &Chart, layout: Layout) -> Result<Vec<u8>, Error> {
    load_font();
    let (width, height) = layout.size(chart);
    let (width, height) = (width * PNG_SCALE, height * PNG_SCALE);
    let mut fine = vec![0; (3 * width * height * SAMPLES * SAMPLES) as usize];
    let size = (width * SAMPLES, height * SAMPLES);
    let area = BitMapBackend::<RGBPixel>::with_buffer_and_format(&mut fine, size)
        .map_err(|error| fault(chart, error.to_string()))?
        .into_drawing_area();
    let mut pen = Pen::new(&area, PNG_SCALE * SAMPLES);
    draw(&printable(chart), layout, &mut pen);
    pen.finish().map_err(|reason| fault(chart, reason))?;
    drop(area);
    Ok(average(&fine, width as usize, height as usize))
}

/// The mean of each `SAMPLES` x `SAMPLES` square of RGB pixels.
fn average(fine: &[u8], width: usize, height: usize) -> Vec<u8> {
    let samples = SAMPLES as usize;
    let mut coarse = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let mut sum = 0;
                for row in samples * y..samples * (y + 1) {
                    for column in samples * x..samples * (x + 1) {
                        sum += usize::from(fine[3 * (row * samples * width + column) + channel]);
                    }
                }
                coarse.push((sum / (samples * samples)) as u8);
            }
        }
    }
    coarse
}

fn encode(width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// The chart with control characters replaced in what a user may have named: XML has no way to write them.
fn printable(chart: &Chart) -> Chart {
    let clean = |text: &mut String| *text = text.replace(char::is_control, "\u{fffd}");
    let mut chart = chart.clone();
    clean(&mut chart.title);
    clean(&mut chart.subtitle);
    clean(&mut chart.x.label);
    for series in &mut chart.series {
        clean(&mut series.label);
        series.tips.iter_mut().for_each(|tip| *tip = tip.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}"));
    }
    chart.labels.iter_mut().for_each(|label| clean(&mut label.text));
    chart
}

/// Makes the compiled-in font known; nothing can be measured before.
pub(crate) fn load_font() {
    static LOADED: Once = Once::new();
    LOADED.call_once(|| {
        let loaded = register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
        assert!(loaded.is_ok(), "the compiled-in font is whole");
    });
}

fn fault(chart: &Chart, reason: String) -> Error {
    Error::Draw { chart: chart.title.clone(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy_chart::{Measure, accuracy_chart};
    use crate::fixture;
    use crate::series::series;

    fn chart(label: &str) -> Chart {
        let mut run = fixture::input(label, fixture::record(&fixture::l1_events(1)));
        run.record.started.name = label.to_owned();
        accuracy_chart("mnist", &series(&[&run], 0), Measure::Sparsity).expect("a chart")
    }

    #[test]
    fn an_svg_holds_every_label() {
        let text = svg(&chart("my run"), Layout::Wide).expect("an SVG");
        for label in ["Top-1 accuracy against sparsity", "mnist", "my run", "99.5 %", "100 %", "chance", "0 %"] {
            assert!(text.contains(label), "{label}");
        }
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn labels_are_escaped_and_cleaned() {
        let text = svg(&chart("<script>&\u{1}"), Layout::Wide).expect("an SVG");
        assert!(text.contains("&lt;script&gt;&amp;\u{fffd}"), "{text}");
        assert!(!text.contains("<script"));
    }

    #[test]
    fn long_labels_lose_their_middle() {
        let text = svg(&chart(&format!("{}end", "runs/very-long-".repeat(20))), Layout::Narrow).expect("an SVG");
        assert!(text.contains("...") && text.contains("long-end"));
    }

    #[test]
    fn a_png_has_the_size_that_it_says() {
        let chart = chart("my run");
        for layout in [Layout::Wide, Layout::Narrow] {
            let bytes = png(&chart, layout).expect("a PNG");
            let (width, height) = layout.size(&chart);
            assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
            assert_eq!(&bytes[12..16], b"IHDR");
            assert_eq!(bytes[16..20], (2 * width).to_be_bytes());
            assert_eq!(bytes[20..24], (2 * height).to_be_bytes());
        }
    }

    #[test]
    fn the_same_chart_gives_the_same_bytes() {
        let render =
            || (svg(&chart("a"), Layout::Wide).expect("an SVG"), png(&chart("a"), Layout::Wide).expect("a PNG"));
        assert!(render() == render());
    }

    #[test]
    fn averaging_takes_the_mean_of_a_square() {
        // Two squares of 2 x 2 pixels beside each other.
        let pixel = |value: u8| [value; 3];
        let fine = [pixel(0), pixel(4), pixel(8), pixel(8), pixel(4), pixel(8), pixel(8), pixel(8)].concat();
        assert_eq!(average(&fine, 2, 1), [pixel(4), pixel(8)].concat());
    }
}

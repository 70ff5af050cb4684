//! Curves, as a table and as a picture.

use crate::Outcome;
use std::fmt::Write;

/// What something costs at each size.
pub(crate) struct Curve {
    pub(crate) what: &'static str,
    /// What there is more of.
    pub(crate) of: &'static str,
    pub(crate) unit: &'static str,
    /// Sizes, ascending, and the median at each.
    pub(crate) points: Vec<(f64, f64)>,
}

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/growth.md");
const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/growth");

const SIZE: (f64, f64) = (640.0, 340.0);
/// Left, top, right and bottom of the lines: what is beside them is text.
const FRAME: [f64; 4] = [60.0, 20.0, 400.0, 300.0];
/// Colours that differ for the colour-blind too (Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"];

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn short(n: f64) -> String {
    match n {
        n if n >= 1e6 => format!("{} M", n / 1e6),
        n if n >= 1e4 => format!("{},000", n / 1e3),
        n => format!("{n}"),
    }
}

fn figure(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}").chars().take(4).collect() }
}

/// A table in Markdown, a line for each point.
pub(crate) fn table(curves: &[Curve]) -> String {
    let mut text = String::from("| what | of | median | to the smallest |\n|---|---|---|---|\n");
    for curve in curves {
        for (size, value) in &curve.points {
            let ratio = value / curve.points[0].1;
            // Nothing was refused at the smallest, say.
            let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { String::new() };
            let (of, value, unit) = (curve.of, figure(*value), curve.unit);
            let _ = writeln!(text, "| {} | {} {of} | {value} {unit} | {ratio} |", curve.what, short(*size));
        }
    }
    text
}

/// Writes a part's table between its marks in the document, and its picture.
pub(crate) fn save(part: &str, curves: &[Curve]) -> Outcome<()> {
    let document = std::fs::read_to_string(DOCUMENT)?;
    let (begin, end) = (format!("<!-- {part} -->\n"), format!("<!-- /{part} -->"));
    let missing = || format!("docs/growth.md has no place for '{part}'");
    let (head, rest) = document.split_once(&begin).ok_or_else(missing)?;
    let (_, tail) = rest.split_once(&end).ok_or_else(missing)?;
    std::fs::write(
        DOCUMENT,
        format!("{head}{begin}![Ratios to the smallest](growth/{part}.svg)\n\n{}{end}{tail}", table(curves)),
    )?;
    std::fs::create_dir_all(PICTURES)?;
    std::fs::write(format!("{PICTURES}/{part}.svg"), picture(curves))?;
    Ok(())
}

/// Ratios to the smallest over sizes, both in powers of ten: what grows as its work does goes up at the slope of the frame's
/// grid.
fn picture(curves: &[Curve]) -> String {
    let points = || curves.iter().flat_map(|c| c.points.iter().map(|(x, y)| (*x, y / c.points[0].1)));
    let decade = |v: f64| v.log10().floor();
    let (mut x, mut y) = ([f64::MAX, f64::MIN], [0.0, 1.0]);
    for (size, ratio) in points() {
        x = [x[0].min(decade(size)), x[1].max(size.log10().ceil())];
        y = [decade(ratio).min(y[0]), ratio.log10().ceil().max(y[1])];
    }
    x[1] = x[1].max(x[0] + 1.0);
    let [left, top, right, bottom] = FRAME;
    let across = |v: f64| left + (v.log10() - x[0]) / (x[1] - x[0]) * (right - left);
    let up = |v: f64| bottom - (v.log10() - y[0]) / (y[1] - y[0]) * (bottom - top);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        SIZE.0, SIZE.1
    );
    for (at, size) in decades(x) {
        let _ = writeln!(
            svg,
            "<path d=\"M{0:.0} {top}V{bottom}\" stroke=\"#ddd\"/><text x=\"{0:.0}\" y=\"{1}\" text-anchor=\"middle\">{2}</text>",
            across(at),
            bottom + 16.0,
            size
        );
    }
    for (at, ratio) in decades(y) {
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {0:.0}H{right}\" stroke=\"#ddd\"/><text x=\"{1}\" y=\"{2:.0}\" text-anchor=\"end\">× {3}</text>",
            up(at),
            left - 6.0,
            up(at) + 4.0,
            ratio
        );
    }
    for (n, curve) in curves.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let at = |(size, value): &(f64, f64)| format!("{:.1},{:.1}", across(*size), up(value / curve.points[0].1));
        let line: Vec<String> = curve.points.iter().map(at).collect();
        let dash = if n < COLOURS.len() { "" } else { " stroke-dasharray=\"5 3\"" };
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>",
            line.join(" ")
        );
        for (size, value) in &curve.points {
            let (x, y) = (across(*size), up(value / curve.points[0].1));
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let y = top + 14.0 + 16.0 * f64::from(u32::try_from(n).unwrap_or(0));
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{y}\" fill=\"{colour}\">{} / {}</text>",
            right + 14.0,
            curve.what,
            curve.of
        );
    }
    svg + "</svg>\n"
}

/// Powers of ten of a range, and what they are called.
fn decades(range: [f64; 2]) -> impl Iterator<Item = (f64, String)> {
    let mut exponent = range[0];
    std::iter::from_fn(move || {
        let at = 10_f64.powf(exponent);
        let inside = exponent <= range[1];
        exponent += 1.0;
        inside.then(|| (at, short(at)))
    })
}

//! Line and bar charts as inline SVG.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 30.0;
const TOP: f64 = 10.0;

/// A line with its name and the CSS class that colours it.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) class: &'a str,
    /// x and y; y may be missing.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// How an axis is divided.
pub(super) enum Axis {
    /// From zero, in steps of 1, 2 or 5.
    Linear,
    /// By powers of ten.
    Log,
    /// At given places, with these names.
    Named(Vec<(f64, String)>),
}

/// A line chart. `label` says what it shows, for those who cannot see it.
pub(super) fn lines(label: &str, x: &Axis, y: &Axis, unit: &str, lines: &[Line<'_>]) -> String {
    let all = || lines.iter().flat_map(|line| &line.points);
    let right = all().map(|p| p.0).fold(0.0, f64::max);
    let right = if right > 0.0 { right } else { 1.0 };
    let values = || all().filter_map(|p| p.1).filter(|y| *y > 0.0);
    let most = values().fold(0.0, f64::max).max(1e-3);
    let least = values().fold(f64::INFINITY, f64::min).min(most);
    let (low, high) = match y {
        Axis::Log => {
            (10_f64.powf(least.log10().floor()), 10_f64.powf(most.log10().ceil().max(least.log10().floor() + 1.0)))
        }
        _ => (0.0, most * 1.05),
    };
    let place_x = |x: f64| LEFT + x / right * (WIDTH - LEFT - 10.0);
    let place_y = |y: f64| {
        let share = match low {
            low if low > 0.0 => (y.max(low) / low).ln() / (high / low).ln(),
            _ => y / high,
        };
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    };
    let mut out = format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#, escape(label));
    let ticks = if low > 0.0 { decades(low, high) } else { steps(high) };
    for tick in ticks {
        let at = place_y(tick);
        let _ = write!(
            out,
            r#"<path class="grid" d="M{LEFT} {at:.1}H{WIDTH}"/><text x="{}" y="{:.1}" class="end">{}{unit}</text>"#,
            LEFT - 6.0,
            at + 4.0,
            short(tick)
        );
    }
    let named = match x {
        Axis::Named(names) => names.clone(),
        _ => steps(right).into_iter().map(|tick| (tick, short(tick))).collect(),
    };
    for (tick, name) in named.iter().filter(|(tick, _)| *tick <= right) {
        let _ = write!(out, r#"<text x="{:.1}" y="{}" class="mid">{name}</text>"#, place_x(*tick), HEIGHT - 8.0);
    }
    for line in lines {
        let mut path = String::new();
        let mut pen = 'M';
        for (x, y) in &line.points {
            match y {
                Some(y) => {
                    let _ = write!(path, "{pen}{:.1} {:.1}", place_x(*x), place_y(*y));
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        let _ =
            write!(out, r#"<path class="line {}" d="{path}"><title>{}</title></path>"#, line.class, escape(line.name));
        // A single point is no line.
        if let [(x, Some(y))] = line.points[..] {
            let _ = write!(
                out,
                r#"<circle class="dot {}" cx="{:.1}" cy="{:.1}" r="3"/>"#,
                line.class,
                place_x(x),
                place_y(y)
            );
        }
    }
    out.push_str("</svg><p class=\"legend\">");
    for line in lines {
        let _ = write!(out, r#"<span><i class="{}"></i>{}</span>"#, line.class, escape(line.name));
    }
    out.push_str("</p>");
    out
}

/// Horizontal bars with their counts and shares.
pub(super) fn bars(rows: &[(String, u64, &str)]) -> String {
    let all: u64 = rows.iter().map(|row| row.1).sum();
    let mut out = String::from("<table class=\"bars\">");
    for (name, count, class) in rows {
        let share = *count as f64 / all.max(1) as f64 * 100.0;
        let _ = write!(
            out,
            r#"<tr><th>{}</th><td class="num">{count}</td><td class="num">{share:.2} %</td><td class="bar"><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="{class}" width="{share:.2}" height="10"/></svg></td></tr>"#,
            escape(name)
        );
    }
    out.push_str("</table>");
    out
}

fn decades(low: f64, high: f64) -> Vec<f64> {
    let (from, to) = (low.log10().round() as i32, high.log10().round() as i32);
    (from..=to).map(|power| 10_f64.powi(power)).collect()
}

fn steps(high: f64) -> Vec<f64> {
    let rough = high / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    (0..=6).map(|i| f64::from(i) * step).take_while(|tick| *tick <= high).collect()
}

fn short(number: f64) -> String {
    if number >= 10_000.0 {
        format!("{}k", number / 1_000.0)
    } else {
        let text = format!("{number:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// For text and attributes of HTML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(steps(10.5), [0.0, 5.0, 10.0]);
        assert_eq!(steps(5_250.0), [0.0, 2_000.0, 4_000.0]);
        assert_eq!(decades(0.1, 100.0).len(), 4);
        assert_eq!([short(0.1), short(20_000.0), short(1_500.0)], ["0.1", "20k", "1500"]);
    }

    #[test]
    fn a_chart_of_one_point_has_an_axis() {
        let points = vec![(0.0, Some(2.0))];
        let chart = lines("x", &Axis::Linear, &Axis::Linear, "", &[Line { name: "a", class: "c", points }]);
        let x: Vec<&str> = chart.split("class=\"mid\">").skip(1).filter_map(|text| text.split('<').next()).collect();
        assert_eq!(x, ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
    }

    #[test]
    fn charts_of_nothing_are_charts() {
        for axis in [Axis::Linear, Axis::Log] {
            let empty = lines("x", &Axis::Linear, &axis, "", &[Line { name: "a", class: "c", points: vec![] }]);
            assert!(empty.starts_with("<svg") && !empty.contains("NaN") && !empty.contains("inf"), "{empty}");
        }
    }
}

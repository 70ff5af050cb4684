//! The page with regret by day.

use super::text::bare;
use super::{Report, SimulateError};
use bandit::simulate::{Paired, Simulation};
use dashboard::plots::{Figure, Style, layout};
use plotly::Scatter;
use plotly::common::{Fill, HoverInfo, Line, Mode};
use plotly::layout::{Axis, HoverMode, RangeMode};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file that can be written.
pub(super) struct Page {
    path: PathBuf,
    file: File,
}

impl Page {
    /// Opens the file and leaves what it holds until there is something better.
    pub(super) fn open(path: &Path) -> Result<Self, SimulateError> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|e| SimulateError::Plot { path: path.into(), why: e.to_string() })?;
        Ok(Self { path: path.into(), file })
    }

    pub(super) fn write(mut self, report: &Report) -> Result<(), SimulateError> {
        let e = &report.environment;
        let seeds = match report.seeds {
            1 => "One seed".to_owned(),
            n => format!("Mean over {n} seeds, with bands of ± 2 standard errors"),
        };
        let about = format!("{seeds}; {} trials in each run. {}", e.trials(), e.about);
        let fail = |why: String| SimulateError::Plot { path: self.path.clone(), why };
        let page = figure(report).page(&report.title, &about).map_err(|e| fail(e.to_string()))?;
        let write = self.file.set_len(0).and_then(|()| self.file.write_all(page.as_bytes()));
        write.map_err(|e| fail(e.to_string()))
    }
}

fn figure(report: &Report) -> Figure {
    let named = report.names.iter().zip(&report.simulations).enumerate();
    let data = named.flat_map(|(i, (name, simulation))| traces(i, name, simulation));
    let x = Axis::new().zero_line(false).show_grid(false);
    let y = Axis::new().title("Cumulative regret (rewards missed)").range_mode(RangeMode::ToZero);
    Figure::new(data, layout(x, y, "Time since the start (days)").hover_mode(HoverMode::XUnified))
}

/// The mean and its band, which come and go together.
fn traces(i: usize, name: &str, simulation: &Simulation) -> Vec<Scatter<f64, f64>> {
    let style = Style::of(i);
    let by_day = by_day(simulation);
    let days: Vec<f64> = (0..u32::try_from(by_day.len()).unwrap_or(u32::MAX)).map(f64::from).collect();
    let group = format!("{i}");
    let edge = |sign: f64| {
        let at = by_day.iter().map(|p| p.mean + sign * 2.0 * p.se.unwrap_or(0.0)).collect();
        Scatter::new(days.clone(), at)
            .mode(Mode::Lines)
            .line(Line::new().width(0.0))
            .hover_info(HoverInfo::Skip)
            .legend_group(group.as_str())
            .show_legend(false)
    };
    let mean = *Scatter::new(days.clone(), by_day.iter().map(|p| p.mean).collect())
        .name(bare(name))
        .mode(Mode::Lines)
        .line(Line::new().color(style.colour()).dash(style.dash()).width(2.5))
        .legend_group(group.as_str())
        .hover_template("%{y:.1f}<extra>%{fullData.name}</extra>");
    if by_day.iter().all(|p| p.se.is_none()) {
        return vec![mean];
    }
    vec![*edge(-1.0), *edge(1.0).fill(Fill::ToNextY).fill_color(style.tint(0x24)), mean]
}

/// Regret at the end of each day, after none at the start.
fn by_day(simulation: &Simulation) -> Vec<Paired> {
    let days = simulation.runs.first().map_or(0, |run| run.regret_by_day.len());
    let end = |day: usize| Paired::of(&simulation.runs.iter().map(|run| run.regret_by_day[day]).collect::<Vec<_>>());
    let start = Paired { mean: 0.0, se: (simulation.runs.len() > 1).then_some(0.0) };
    std::iter::once(start).chain((0..days).map(end)).collect()
}

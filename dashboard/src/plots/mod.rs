//! Plots as JSON: data, layout and configuration for Plotly, built from the same numbers as the tables.

mod allocation;
mod densities;
mod draw;
mod forest;
mod planned;
mod standalone;
mod style;

pub(crate) use allocation::allocation;
pub(crate) use densities::densities;
pub(crate) use draw::draw;
pub(crate) use forest::forest;
pub(crate) use planned::{decided, regret};
pub use style::Style;

use plotly::common::{Anchor, Font, Orientation};
use plotly::configuration::DisplayModeBar;
use plotly::layout::{Axis, Legend, Margin, TraceOrder};
use plotly::{Configuration, Layout, Trace};
use serde::Serialize;

/// What Plotly draws. (`plotly::Plot` would copy the whole script for each.)
#[derive(Serialize)]
pub struct Figure {
    data: Vec<Box<dyn Trace>>,
    layout: Layout,
    config: Configuration,
}

impl Figure {
    /// Traces in a layout.
    #[must_use]
    pub fn new<T: Trace + 'static>(data: impl IntoIterator<Item = T>, layout: Layout) -> Self {
        let boxed = |trace| Box::new(trace) as Box<dyn Trace>;
        let data = data.into_iter().map(boxed).collect();
        let config = Configuration::new().display_mode_bar(DisplayModeBar::False).responsive(true);
        Self { data, layout, config }
    }
}

/// The look that plots share, with what the horizontal axis shows. Colours of text and lines are the page's, which the script fills in.
#[must_use]
pub fn layout(x: Axis, y: Axis, along: &str) -> Layout {
    let legend = Legend::new()
        .orientation(Orientation::Horizontal)
        .trace_order(TraceOrder::Normal)
        .x(0.0)
        .x_anchor(Anchor::Left)
        .y(1.02)
        .y_anchor(Anchor::Bottom);
    Layout::new()
        .auto_size(true)
        .show_legend(true)
        .legend(legend)
        .margin(Margin::new().left(56).right(16).top(8).bottom(48))
        .font(Font::new().size(13))
        .paper_background_color("rgba(0,0,0,0)")
        .plot_background_color("rgba(0,0,0,0)")
        .x_axis(x.title(along).auto_margin(true))
        .y_axis(y.auto_margin(true))
}

//! What Plotly draws, and the look that plots share.

use plotly::common::{Anchor, Font, Orientation};
use plotly::configuration::DisplayModeBar;
use plotly::layout::{Annotation, Axis, Legend, Margin, TraceOrder};
use plotly::{Configuration, Layout, Trace};
use serde::ser::{Error, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// What Plotly draws. (`plotly::Plot` would copy the whole script for each.)
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

    /// A sentence in place of a plot that has nothing to show.
    pub(crate) fn empty(why: &str) -> Self {
        let middle = Annotation::new().x_ref("paper").x(0.5).y_ref("paper").y(0.5).text(why).show_arrow(false);
        let hidden = || Axis::new().visible(false);
        Self::new::<plotly::Scatter<f64, f64>>([], layout(hidden(), hidden(), "").annotations(vec![middle]))
    }
}

/// Names are text: Plotly would read tags in them.
impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serde_json::to_value(&self.data).map_err(S::Error::custom)?;
        let mut layout = serde_json::to_value(&self.layout).map_err(S::Error::custom)?;
        inert(&mut data);
        inert(&mut layout);
        let mut out = serializer.serialize_struct("Figure", 3)?;
        out.serialize_field("data", &data)?;
        out.serialize_field("layout", &layout)?;
        out.serialize_field("config", &self.config)?;
        out.end()
    }
}

fn inert(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(['<', '>']) => *text = text.replace('<', "‹").replace('>', "›"),
        Value::Array(list) => list.iter_mut().for_each(inert),
        // Templates are ours, and their tags are meant.
        Value::Object(fields) => fields.iter_mut().filter(|(k, _)| *k != "hovertemplate").for_each(|(_, v)| inert(v)),
        _ => {}
    }
}

/// A figure whose numbers have the digits that can be seen: the rest would be half of what is sent.
pub(crate) struct Brief(pub(crate) Figure);

impl Serialize for Brief {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut figure = serde_json::to_value(&self.0).map_err(S::Error::custom)?;
        shorten(&mut figure);
        figure.serialize(serializer)
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::Number(n) if n.is_f64() => {
            let short = n.as_f64().and_then(|x| format!("{x:.6e}").parse().ok());
            if let Some(short) = short.and_then(serde_json::Number::from_f64) {
                *n = short;
            }
        }
        Value::Array(list) => list.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
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

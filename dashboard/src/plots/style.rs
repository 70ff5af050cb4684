//! How an arm looks, in every plot and table.

use askama::filters::HtmlSafe;
use plotly::common::DashType;
use std::fmt::{Display, Formatter, Result};

/// Okabe and Ito's palette, told apart by the colour-blind, without black and yellow, which vanish on one of
/// the two backgrounds; grey is the seventh.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c"];
const DASHES: [(DashType, &str); 4] =
    [(DashType::Solid, "none"), (DashType::Dash, "6 3"), (DashType::Dot, "2 2"), (DashType::DashDot, "6 2 2 2")];

/// Colour and dash of the arm at an index of the definition, where arms keep their place for good. Colour is
/// never the only mark: 7 colours and 4 dashes have no common factor, so 28 arms differ.
#[derive(Debug, Clone, Copy)]
pub struct Style(usize);

impl Style {
    /// That of the arm, or of another thing in a fixed order, at an index.
    #[must_use]
    pub fn of(arm: usize) -> Self {
        Self(arm)
    }

    /// The line's colour.
    #[must_use]
    pub fn colour(self) -> &'static str {
        COLOURS[self.0 % COLOURS.len()]
    }

    /// The line's dash.
    #[must_use]
    pub fn dash(self) -> DashType {
        DASHES[self.0 % DASHES.len()].0.clone()
    }

    /// The colour with an opacity.
    #[must_use]
    pub fn tint(self, opacity: u8) -> String {
        format!("{}{opacity:02x}", self.colour())
    }
}

/// Constants only.
impl HtmlSafe for Style {}

/// A sample of the arm's line.
impl Display for Style {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (colour, dash) = (self.colour(), DASHES[self.0 % DASHES.len()].1);
        write!(
            f,
            r#"<svg class="sample" viewBox="0 0 22 10" aria-hidden="true"><line x1="1" y1="5" x2="21" y2="5" stroke="{colour}" stroke-dasharray="{dash}"/></svg>"#
        )
    }
}

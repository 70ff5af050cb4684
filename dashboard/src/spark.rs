//! A line as small as a word.

use askama::filters::HtmlSafe;
use std::fmt::{Display, Formatter, Result};

const WIDTH: f64 = 96.0;
const HEIGHT: f64 = 22.0;

/// Values at equal distances, drawn from 0 up to the highest.
pub(crate) struct Spark(pub(crate) Vec<f64>);

/// Numbers only.
impl HtmlSafe for Spark {}

impl Display for Spark {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let top = self.0.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        #[expect(clippy::cast_precision_loss, reason = "a few dozen points")]
        let step = WIDTH / self.0.len().saturating_sub(1).max(1) as f64;
        write!(f, r#"<svg class="spark" viewBox="-1 -1 98 24" aria-hidden="true"><polyline points=""#)?;
        let mut x = 0.0;
        for y in &self.0 {
            write!(f, "{x:.1},{:.1} ", HEIGHT * (1.0 - y / top))?;
            x += step;
        }
        f.write_str(r#""/></svg>"#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_spans_its_box() {
        let drawn = Spark(vec![0.0, 5.0, 10.0]).to_string();
        assert!(drawn.contains(r#"points="0.0,22.0 48.0,11.0 96.0,0.0 ""#), "{drawn}");
        for flat in [vec![], vec![0.0], vec![0.0, 0.0]] {
            assert!(!Spark(flat).to_string().contains("NaN"));
        }
    }
}

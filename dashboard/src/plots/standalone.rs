//! A plot as a page of its own, with all it needs: it is looked at without a server.

use super::Figure;
use crate::assets;
use askama::Template;

#[derive(Template)]
#[template(path = "standalone.html")]
struct Standalone<'a> {
    title: &'a str,
    about: &'a str,
    script: &'a str,
    figure: String,
}

impl Figure {
    /// The plot as HTML that holds its script.
    ///
    /// # Errors
    /// When a number cannot be written as JSON.
    pub fn page(&self, title: &str, about: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        // Names come from files: none may end the script.
        let figure = serde_json::to_string(self)?.replace('<', "\\u003c");
        Ok(Standalone { title, about, script: assets::plotly_script(), figure }.render()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotly::layout::Axis;
    use plotly::{Layout, Scatter};

    #[test]
    fn a_page_holds_its_script_and_no_name_ends_it() {
        let line = *Scatter::new(vec![0.0], vec![1.0]).name("</script><b>");
        let figure: Figure = Figure::new([line], Layout::new().x_axis(Axis::new().title("Day")));
        let page = figure.page("<i>", "a & b").unwrap();
        assert!(page.contains("plotly.js v") && !page.contains(" src="), "works without a network");
        assert_eq!(page.matches("</script>").count(), 2, "the library and the figure");
        assert!(page.contains("‹/script›‹b›") && !page.contains("<i>") && !page.contains("a & b"));
    }
}

//! The bar on standard error.

use indicatif::{ProgressBar, ProgressStyle};

/// Makes a bar for each pass over the file, or none at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    shown: bool,
}

impl Progress {
    pub(crate) fn new(shown: bool) -> Self {
        Self { shown }
    }

    /// A bar for a pass over `bytes`.
    pub(crate) fn pass(self, what: &'static str, bytes: u64) -> ProgressBar {
        self.bar(what, bytes, "{msg:<9} {wide_bar} {bytes} of {total_bytes}, {eta} left")
    }

    /// A bar for a number of things.
    pub(crate) fn count(self, what: &'static str, number: u64) -> ProgressBar {
        self.bar(what, number, "{msg:<9} {wide_bar} {pos} of {len}, {eta} left")
    }

    fn bar(self, what: &'static str, length: u64, template: &str) -> ProgressBar {
        if !self.shown {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        // Dropping the last handle removes the bar, so that it never stands in the way of the summary.
        ProgressBar::new(length).with_style(style).with_message(what).with_finish(indicatif::ProgressFinish::AndClear)
    }
}

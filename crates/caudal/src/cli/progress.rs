//! The progress bar on standard error; nothing where that is not a terminal.

use std::time::Duration;

use caudal_core::job::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

/// The bar's resolution.
const STEPS: u64 = 1000;

/// Shows a job's progress until the job is gone or the bar is finished.
pub fn follow(mut progress: watch::Receiver<Progress>) -> ProgressBar {
    let bar = ProgressBar::new(STEPS);
    let style =
        ProgressStyle::with_template("{spinner} {msg:14} [{wide_bar:.cyan/blue}] {percent:>3} % {elapsed}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    let shown = bar.clone();
    tokio::spawn(async move {
        while progress.changed().await.is_ok() && !shown.is_finished() {
            let now = progress.borrow_and_update().clone();
            shown.set_message(now.step);
            shown.set_position((now.fraction * STEPS as f64) as u64);
        }
    });
    bar
}

//! How far a sweep is, on a terminal: a bar, and who is still waited for.

use indicatif::{ProgressBar, ProgressStyle};
use sickbay_model::ResourceId;

use super::Context;

/// How many are named that are still waited for.
const MOST_NAMED: usize = 4;

/// With at most this many left, they are worth naming.
const FEW_LEFT: usize = 20;

/// A bar on a terminal, nothing elsewhere.
pub(crate) struct Progress {
    bar: ProgressBar,
    total: usize,
}

impl Progress {
    /// Of so many machines.
    pub(crate) fn new(context: &Context, total: usize) -> Self {
        let total_shown = if total > 1 { total } else { 0 };
        Self { bar: bar(context, total_shown, "{bar:30} {pos}/{len} nodes  {wide_msg}"), total }
    }

    /// So many have ended; these are under way.
    pub(crate) fn show<'a>(&mut self, ended: usize, waiting: impl Iterator<Item = &'a ResourceId>) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_position(ended as u64);
        let left = self.total.saturating_sub(ended);
        self.bar.set_message(waiting_text(left, waiting));
    }

    /// Takes the bar away.
    pub(crate) fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A bar of so many steps on a terminal's error output, nothing elsewhere nor for none.
pub(crate) fn bar(context: &Context, steps: usize, template: &str) -> ProgressBar {
    use std::io::IsTerminal as _;
    if !std::io::stderr().is_terminal() || context.terminal.quiet || steps == 0 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(steps as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn waiting_text<'a>(left: usize, waiting: impl Iterator<Item = &'a ResourceId>) -> String {
    if left == 0 || left > FEW_LEFT {
        return String::new();
    }
    let names: Vec<_> = waiting.take(MOST_NAMED).map(ResourceId::name).collect();
    let more = left.saturating_sub(names.len());
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("still waiting for: {}{tail}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_named() {
        let ids: Vec<_> =
            (1..=6).map(|n| ResourceId::node(&format!("gpu-{n}")).expect("an id")).collect();
        for (left, count, text) in [
            (0, 0, ""),
            (21, 6, ""),
            (1, 1, "still waiting for: gpu-1"),
            (6, 6, "still waiting for: gpu-1, gpu-2, gpu-3, gpu-4 and 2 more"),
        ] {
            assert_eq!(waiting_text(left, ids.iter().take(count)), text);
        }
    }
}

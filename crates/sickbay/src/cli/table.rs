//! Plain tables: columns side by side, the last one wrapped under itself.

use super::terminal::{Paint, Terminal, columns, wrap};

/// Space between two columns.
const GAP: usize = 2;
/// The last column is never narrower than this; lines become longer than the terminal instead.
const MIN_LAST: usize = 20;

/// One cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    paint: Paint,
    right: bool,
}

impl Cell {
    /// Text, left-aligned.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), paint: Paint::Plain, right: false }
    }

    /// A number, right-aligned.
    pub(crate) fn number(text: impl Into<String>) -> Self {
        Self { right: true, ..Self::text(text) }
    }

    /// In a colour.
    pub(crate) fn paint(mut self, paint: impl Into<Paint>) -> Self {
        self.paint = paint.into();
        self
    }
}

/// A table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    margin: usize,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table, indented by some columns, with a heading unless that is empty.
    pub(crate) fn new(margin: usize, heading: &[&str]) -> Self {
        let cells: Vec<_> =
            heading.iter().map(|text| Cell::text(*text).paint(Paint::Dim)).collect();
        let rows = if cells.is_empty() { Vec::new() } else { vec![cells] };
        Self { margin, rows }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The table as text, every line ended.
    pub(crate) fn render(&self, terminal: &Terminal) -> String {
        let widths = self.widths();
        let before_last: usize = widths.iter().rev().skip(1).map(|width| width + GAP).sum();
        let room = terminal.width.saturating_sub(self.margin + before_last).max(MIN_LAST);
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(self.margin);
            for (place, cell) in row.iter().enumerate() {
                let width = widths.get(place).copied().unwrap_or(0);
                if place + 1 == widths.len() {
                    let indent = " ".repeat(self.margin + before_last);
                    let lines = wrap(&cell.text, room);
                    let painted: Vec<_> =
                        lines.iter().map(|line| terminal.paint(cell.paint, line)).collect();
                    line.push_str(&painted.join(&format!("\n{indent}")));
                } else if self.right(place) {
                    let fill = width.saturating_sub(columns(&cell.text));
                    line.push_str(&" ".repeat(fill));
                    line.push_str(&terminal.paint(cell.paint, &cell.text));
                    line.push_str(&" ".repeat(GAP));
                } else {
                    line.push_str(&terminal.paint_padded(cell.paint, &cell.text, width + GAP));
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |place: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(place));
            cells.map(|cell| columns(&cell.text)).max().unwrap_or(0)
        };
        (0..count).map(widest).collect()
    }

    /// A column stands right if any of its cells does, its heading included.
    fn right(&self, place: usize) -> bool {
        self.rows.iter().filter_map(|row| row.get(place)).any(|cell| cell.right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_wraps_under_itself() {
        let terminal = Terminal { colour: false, width: 38, interactive: false, quiet: false };
        let mut table = Table::new(0, &["NAME", "SIZE", "WHAT"]);
        table.row(vec![
            Cell::text("a"),
            Cell::number("1"),
            Cell::text("a text that is too long for its line"),
        ]);
        table.row(vec![Cell::text("longer"), Cell::number("22"), Cell::text("short")]);
        expect_test::expect![[r"
              NAME    SIZE  WHAT
              a          1  a text that is too long
                            for its line
              longer    22  short
        "]]
        .assert_eq(&table.render(&terminal));
    }
}

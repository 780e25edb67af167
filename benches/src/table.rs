//! The table that a run prints, in Markdown so that it can be kept.

/// One measured figure.
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Ours, with unit.
    pub figure: String,
    /// What it should be.
    pub goal: &'static str,
    /// A peer's figure in the same run, with its name.
    pub peer: String,
}

impl Row {
    /// A figure without a peer.
    pub fn new(what: &str, figure: String, goal: &'static str) -> Self {
        Self { what: what.to_owned(), figure, goal, peer: "–".to_owned() }
    }

    /// The same with a peer's figure.
    pub fn beside(mut self, peer: String) -> Self {
        self.peer = peer;
        self
    }
}

/// Prints the table's head.
pub fn print_head() {
    println!("| what | Sickbay | goal | peer |\n|---|---|---|---|");
}

/// Prints rows.
pub fn print(rows: &[Row]) {
    for row in rows {
        println!("| {} | {} | {} | {} |", row.what, row.figure, row.goal, row.peer);
    }
}

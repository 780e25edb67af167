//! A small plot of one series in braille dots: two columns and four rows of dots to a character.

use sickbay_model::{Timestamp, Unit};
use sickbay_wire::v1::HistoryPoint;

use super::format;
use super::terminal::{Paint, Terminal, columns};

/// Lines of the plot.
const HEIGHT: usize = 10;
/// The bit of each dot in a braille character, by column and row.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// Draws points between two times. Where nothing was measured nothing is drawn.
pub(crate) fn plot(
    terminal: &Terminal,
    points: &[HistoryPoint],
    unit: Unit,
    (from, to): (Timestamp, Timestamp),
    now: Timestamp,
) -> String {
    let (low, high) = bounds(points, unit);
    let labels: Vec<String> = (0..HEIGHT)
        .map(|row| match row {
            0 => format::value(high, unit),
            _ if row == HEIGHT / 2 => format::value(f64::midpoint(low, high), unit),
            _ if row == HEIGHT - 1 => format::value(low, unit),
            _ => String::new(),
        })
        .collect();
    let margin = labels.iter().map(|label| columns(label)).max().unwrap_or(0);
    let width = terminal.width.saturating_sub(margin + 3).max(10);
    let canvas = draw(points, (from, to), (low, high), width);
    let mut text = String::new();
    for (label, line) in labels.iter().zip(canvas) {
        let fill = " ".repeat(margin - columns(label));
        let axis = terminal.paint(Paint::Dim, &format!("{fill}{label} ┤"));
        text.push_str(&format!("{axis}{}\n", terminal.paint(Paint::Good, line.trim_end())));
    }
    let (start, end) = (format::time(from, now), format::time(to, now));
    let gap = width.saturating_sub(columns(&start) + columns(&end));
    let axis = format!("{}  {start}{}{end}", " ".repeat(margin), " ".repeat(gap));
    text.push_str(&terminal.paint(Paint::Dim, &axis));
    text.push('\n');
    text
}

/// The values at the bottom and the top: percentages and counts begin at zero, so that a small
/// ripple does not look like a wave.
fn bounds(points: &[HistoryPoint], unit: Unit) -> (f64, f64) {
    let low = points.iter().map(|point| point.min).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|point| point.max).fold(f64::NEG_INFINITY, f64::max);
    if !low.is_finite() || !high.is_finite() {
        return (0.0, 1.0);
    }
    let narrow = matches!(unit, Unit::Celsius | Unit::Seconds | Unit::Bytes);
    let low = if narrow { low } else { low.min(0.0) };
    if high - low < 1e-9 { (low, low + 1.0) } else { (low, high) }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "places on a screen, clamped to it"
)]
fn draw(
    points: &[HistoryPoint],
    (from, to): (Timestamp, Timestamp),
    (low, high): (f64, f64),
    width: usize,
) -> Vec<String> {
    let (dot_columns, dot_rows) = (width * 2, HEIGHT * 4);
    let span = (to.as_unix_ms() - from.as_unix_ms()).max(1) as f64;
    let row_of = |value: f64| {
        let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
        ((1.0 - share) * (dot_rows - 1) as f64).round() as usize
    };
    let mut cells = vec![vec![0_u32; width]; HEIGHT];
    let mut set = |column: usize, row: usize| {
        let bit = DOTS.get(column % 2).and_then(|rows| rows.get(row % 4)).copied().unwrap_or(0);
        if let Some(cell) = cells.get_mut(row / 4).and_then(|line| line.get_mut(column / 2)) {
            *cell |= bit;
        }
    };
    for point in points {
        let offset = (point.at.as_unix_ms() - from.as_unix_ms()) as f64;
        let column =
            (offset / span * (dot_columns - 1) as f64).clamp(0.0, (dot_columns - 1) as f64);
        // From the smallest to the largest value of the step: a peak stays visible.
        for row in row_of(point.max)..=row_of(point.min) {
            set(column as usize, row);
        }
        set(column as usize, row_of(point.mean));
    }
    let braille = |bits: u32| match bits {
        0 => ' ',
        bits => char::from_u32(0x2800 + bits).unwrap_or(' '),
    };
    cells.into_iter().map(|line| line.into_iter().map(braille).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(second: i64, value: f64) -> HistoryPoint {
        let at = Timestamp::from_unix_ms(second * 1000);
        HistoryPoint { at, min: value, mean: value, max: value, count: 1 }
    }

    #[test]
    fn a_line_rises_from_bottom_left_to_top_right() {
        let points: Vec<_> = (0..100).map(|second| point(second, second as f64)).collect();
        let (from, to) = (Timestamp::EPOCH, Timestamp::from_unix_ms(100_000));
        let lines = draw(&points, (from, to), (0.0, 99.0), 20);
        assert_eq!(lines.len(), HEIGHT);
        assert!(lines.iter().all(|line| columns(line) == 20));
        assert!(lines[0].trim_end().ends_with(|c| c != ' ') && lines[0].starts_with(' '));
        assert!(lines[HEIGHT - 1].starts_with(|c| c != ' '));
    }

    #[test]
    fn absurd_points_do_not_panic() {
        let terminal = Terminal { colour: false, width: 80, interactive: false, quiet: false };
        let (from, to) = (Timestamp::EPOCH, Timestamp::EPOCH);
        for points in [
            vec![],
            vec![point(0, f64::NAN)],
            vec![point(-5, 1e300), point(9_999_999, -1e300)],
            vec![point(0, f64::INFINITY)],
            vec![point(0, 7.0)],
        ] {
            let text = plot(&terminal, &points, Unit::Percent, (from, to), to);
            assert_eq!(text.lines().count(), HEIGHT + 1);
        }
    }
}

//! Which nodes are wanted, and in which order.

use std::collections::BTreeMap;
use std::sync::Arc;

use sickbay_engine::BreakerState;
use sickbay_model::{Level, Timestamp};

use super::rows::Row;
use crate::api::problem::ProblemResponse;
use crate::api::query::{Query, wrong};

/// The longest text that is searched for, in bytes.
const MAX_SEARCH_BYTES: usize = 200;

const LEVELS: &str = "healthy, degraded, unhealthy, critical or unknown";
const BREAKERS: [BreakerState; 3] =
    [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];

/// Which nodes are wanted.
#[derive(Debug, Default)]
pub(in crate::api) struct Wanted {
    levels: Vec<Level>,
    ready: Option<bool>,
    breakers: Vec<BreakerState>,
    /// By key: one of these values, or any.
    labels: BTreeMap<String, Vec<Option<String>>>,
    /// All of these, in lower case.
    words: Vec<String>,
}

impl Wanted {
    /// What a query asks for.
    ///
    /// # Errors
    /// 400, naming the parameter that makes no sense.
    pub(in crate::api) fn parse(query: &Query) -> Result<Self, ProblemResponse> {
        let levels = query
            .list("level")
            .map(|word| word.parse().map_err(|_| wrong("level", word, LEVELS, "critical")))
            .collect::<Result<_, _>>()?;
        let ready = match query.one("ready")? {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(other) => return Err(wrong("ready", other, "true or false", "true")),
        };
        let breakers = query.list("breaker").map(parse_breaker).collect::<Result<_, _>>()?;
        let mut labels: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
        for text in query.all("label") {
            let (key, value) = match text.split_once('=') {
                Some((key, value)) => (key, Some(value.to_owned())),
                None => (text, None),
            };
            if key.is_empty() {
                return Err(wrong("label", text, "a label", "rack=r12"));
            }
            labels.entry(key.to_owned()).or_default().push(value);
        }
        let search = query.one("search")?.unwrap_or("");
        if search.len() > MAX_SEARCH_BYTES {
            let wanted = format!("a text of at most {MAX_SEARCH_BYTES} bytes");
            return Err(wrong("search", search, &wanted, "gpu-07"));
        }
        let words = search.to_lowercase().split_whitespace().map(str::to_owned).collect();
        Ok(Self { levels, ready, breakers, labels, words })
    }

    fn fits(&self, row: &Row) -> bool {
        let node = &row.node;
        (self.levels.is_empty() || self.levels.contains(&node.level))
            && self.ready.is_none_or(|ready| ready == node.ready)
            && (self.breakers.is_empty()
                || row.breaker.is_some_and(|state| self.breakers.contains(&state)))
            && self.labels.iter().all(|(key, values)| {
                node.labels.get(key).is_some_and(|value| {
                    values.iter().any(|wanted| wanted.as_ref().is_none_or(|it| it == value))
                })
            })
            && self.words.iter().all(|word| row.searched.contains(word.as_str()))
    }
}

fn parse_breaker(word: &str) -> Result<BreakerState, ProblemResponse> {
    BREAKERS
        .into_iter()
        .find(|state| state.as_str() == word)
        .ok_or_else(|| wrong("breaker", word, "closed, open or half_open", "open"))
}

/// By what nodes are ordered. Of equals the name decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Worst level first, then the lowest score.
    Level,
    /// Lowest first; none at all before that.
    Score,
    Name,
    /// Those first that have their level for longest.
    Since,
    /// Those first that were not collected for longest.
    LastCheck,
}

const ORDERS: [(&str, By); 5] = [
    ("level", By::Level),
    ("score", By::Score),
    ("name", By::Name),
    ("since", By::Since),
    ("last_check", By::LastCheck),
];

/// An order of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) struct Order {
    by: By,
    reversed: bool,
}

impl Order {
    /// The order that a query asks for; worst first if it does not say.
    ///
    /// # Errors
    /// 400 when there is no such order.
    pub(in crate::api) fn parse(query: &Query) -> Result<Self, ProblemResponse> {
        let Some(text) = query.one("sort")? else {
            return Ok(Self { by: By::Level, reversed: false });
        };
        let (word, reversed) = match text.strip_prefix('-') {
            Some(word) => (word, true),
            None => (text, false),
        };
        let by = ORDERS.into_iter().find(|(name, _)| *name == word).map(|(_, by)| by);
        let by = by.ok_or_else(|| {
            let allowed = "name, score, level, since or last_check, with `-` before it to reverse";
            wrong("sort", text, allowed, "-since")
        })?;
        Ok(Self { by, reversed })
    }

    fn word(self) -> &'static str {
        ORDERS.iter().find(|(_, by)| *by == self.by).map_or("", |(word, _)| word)
    }

    /// Where a node stands, before any reversal; equals stand by name.
    fn key(self, row: &Row) -> u64 {
        let node = &row.node;
        match self.by {
            By::Name => 0,
            By::Level => (badness(node.level) << 32) | score_key(node.score),
            By::Score => score_key(node.score),
            By::Since => time_key(Some(node.since)),
            By::LastCheck => time_key(node.last_check),
        }
    }
}

/// Worst first; unknown stands where the health model ranks it, above a warning.
fn badness(level: Level) -> u64 {
    match level {
        Level::Critical => 0,
        Level::Unhealthy => 1,
        Level::Unknown => 2,
        Level::Degraded => 3,
        Level::Healthy => 4,
    }
}

fn score_key(score: Option<f64>) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0 to 100 000"
    )]
    score.map_or(0, |score| 1 + (score * 1000.0).clamp(0.0, 100_000.0) as u64)
}

fn time_key(at: Option<Timestamp>) -> u64 {
    // Flipping the sign orders negative numbers before positive ones.
    at.map_or(0, |at| at.as_unix_ms().cast_unsigned() ^ (1 << 63))
}

/// One page of the nodes that are wanted, in order, and where the next one begins.
///
/// # Errors
/// 400 when the cursor is none of this order.
pub(in crate::api) fn page<'r>(
    rows: &'r [Arc<Row>],
    wanted: &Wanted,
    order: Order,
    cursor: Option<&str>,
    limit: usize,
) -> Result<(Vec<&'r Row>, Option<String>), ProblemResponse> {
    let after = cursor.map(|text| Cursor::parse(text, order)).transpose()?;
    let after = after.map(|cursor| (cursor.key, cursor.place(rows, order.reversed)));
    let mut keys: Vec<(u64, usize)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| wanted.fits(row))
        .map(|(place, row)| (order.key(row), place))
        .filter(|key| after.is_none_or(|after| (*key < after) == order.reversed))
        .collect();
    keys.sort_unstable();
    if order.reversed {
        keys.reverse();
    }
    let more = keys.len() > limit;
    keys.truncate(limit);
    let next = keys.last().filter(|_| more).and_then(|(key, place)| {
        Some(format!("{}.{key:x}.{}", order.word(), rows.get(*place)?.id.name()))
    });
    let page = keys.into_iter().filter_map(|(_, place)| rows.get(place)).map(|row| &**row);
    Ok((page.collect(), next))
}

/// The last node of the page before: its key in that order, and its name.
struct Cursor<'c> {
    key: u64,
    name: &'c str,
}

impl<'c> Cursor<'c> {
    fn parse(text: &'c str, order: Order) -> Result<Self, ProblemResponse> {
        let mut parts = text.splitn(3, '.');
        let (word, key, name) = (parts.next(), parts.next(), parts.next());
        let key = key.and_then(|key| u64::from_str_radix(key, 16).ok());
        match (word, key, name) {
            (Some(word), Some(key), Some(name)) if word == order.word() => Ok(Self { key, name }),
            _ => {
                let wanted = "the `next_cursor` of a page in this order";
                Err(wrong("cursor", text, wanted, "name.0.gpu-07"))
            }
        }
    }

    /// Where the next page begins (or, reversed, what it stays below); the node itself may be gone.
    fn place(&self, rows: &[Arc<Row>], reversed: bool) -> usize {
        match rows.binary_search_by(|row| row.id.name().cmp(self.name)) {
            Ok(at) if reversed => at,
            Ok(at) => at + 1,
            Err(at) => at,
        }
    }
}

//! A book with its keeper and its receivers: what is kept, what arrives, and what a crash loses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sickbay_alert::{
    Acknowledgement, Alert, AlertEvent, AlertId, Answer, Book, BookPolicy, Budget, Changes,
    Delivery, Kept, Key, Labels, Matchers, Notice, NoticeId, Population, Problem, Quiet, Route,
    Rules, Severity, Step,
};
use sickbay_model::{ResourceId, Timestamp};

/// Silences by hand: what, from when, until when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Silent(pub(crate) Vec<(Matchers, Timestamp, Timestamp)>);

impl Quiet for Silent {
    fn covering(&self, labels: &Labels, now: Timestamp) -> Option<(String, Timestamp)> {
        let covers = |(matchers, from, until): &&(Matchers, Timestamp, Timestamp)| {
            *from <= now && now < *until && matchers.matches(labels)
        };
        let longest = self.0.iter().filter(covers).max_by_key(|(.., until)| *until)?;
        Some(("s1".to_owned(), longest.2))
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) now: Timestamp,
    pub(crate) policy: BookPolicy,
    pub(crate) routing: Route,
    pub(crate) budgets: BTreeMap<Arc<str>, Budget>,
    pub(crate) quiet: Silent,
    pub(crate) book: Book,
    /// What a restart finds.
    alerts: BTreeMap<Key, Alert>,
    groups: BTreeMap<String, sickbay_alert::Group>,
    notices: BTreeMap<NoticeId, Notice>,
    head: sickbay_alert::Head,
    /// What arrived, each notice once.
    pub(crate) arrived: BTreeMap<NoticeId, Notice>,
    /// What happened.
    pub(crate) events: Vec<AlertEvent>,
}

/// One route of two steps: `first` at once, `second` after 10 minutes.
pub(crate) fn two_steps() -> Route {
    let step = |minutes: u64, name: &str| Step {
        after: Duration::from_secs(60 * minutes),
        receivers: vec![name.into()],
    };
    Route { steps: vec![step(0, "first"), step(10, "second")], ..Route::default() }
}

impl Story {
    pub(crate) fn new() -> Self {
        Self {
            now: Timestamp::from_unix_ms(1_800_000_000_000),
            policy: BookPolicy::default(),
            routing: two_steps(),
            budgets: BTreeMap::new(),
            quiet: Silent::default(),
            book: Book::default(),
            alerts: BTreeMap::new(),
            groups: BTreeMap::new(),
            notices: BTreeMap::new(),
            head: sickbay_alert::Head::default(),
            arrived: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Does something with the book.
    pub(crate) fn with<T>(&mut self, act: impl FnOnce(&mut Book, &Rules<'_>) -> T) -> T {
        let rules = Rules {
            now: self.now,
            policy: &self.policy,
            routing: &self.routing,
            budgets: &self.budgets,
            quiet: &self.quiet,
        };
        act(&mut self.book, &rules)
    }

    /// Keeps what changed, in one transaction.
    pub(crate) fn commit(&mut self) {
        let changes = self.book.take_changes();
        let Changes { alerts, forgotten, groups, ended_groups, notices, done, head, events } =
            changes;
        for alert in alerts {
            self.alerts.insert(alert.key.clone(), alert);
        }
        for key in forgotten {
            self.alerts.remove(&key);
        }
        for group in groups {
            self.groups.insert(group.id.clone(), group);
        }
        for id in ended_groups {
            self.groups.remove(&id);
        }
        for notice in notices {
            self.notices.insert(notice.id, notice);
        }
        for id in done {
            self.notices.remove(&id);
        }
        self.head = head.unwrap_or_else(|| self.head.clone());
        self.events.extend(events);
    }

    /// What is kept, as bytes and back.
    pub(crate) fn kept(&self) -> Kept {
        let kept = Kept {
            alerts: self.alerts.values().cloned().collect(),
            groups: self.groups.values().cloned().collect(),
            notices: self.notices.values().cloned().collect(),
            head: self.head.clone(),
        };
        let bytes = serde_json::to_vec(&kept).expect("serialises");
        serde_json::from_slice(&bytes).expect("reads")
    }

    /// Everything in memory is lost.
    pub(crate) fn crash(&mut self) {
        self.book = Book::load(self.kept(), self.now);
    }

    /// A notice arrives; whoever sent it may not live to write that down.
    pub(crate) fn arrive(&mut self, id: NoticeId) -> bool {
        let Some(notice) = self.notices.get(&id).cloned() else { return false };
        if let Some(before) = self.arrived.get(&id) {
            assert_eq!(*before, notice, "a notice says the same each time it is sent");
        }
        self.arrived.insert(id, notice);
        true
    }

    /// Everything that is due is done, kept, and delivered, until nothing more is due now.
    pub(crate) fn settle(&mut self) {
        loop {
            self.with(|book, rules| book.tick(rules));
            self.commit();
            let ids: Vec<NoticeId> = self.notices.keys().copied().collect();
            for &id in &ids {
                self.arrive(id);
                self.with(|book, rules| book.delivered(rules, id, &Delivery::Done));
            }
            self.commit();
            let due = self.book.next_due().is_some_and(|due| due <= self.now);
            if ids.is_empty() && !due {
                return;
            }
        }
    }

    /// Time passes, with everything that becomes due in it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        self.settle();
        while let Some(due) = self.book.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    pub(crate) fn wrong(&mut self, rule: &str, node: &str) {
        self.wrong_as(rule, node, |_| {});
    }

    pub(crate) fn wrong_as(&mut self, rule: &str, node: &str, change: impl FnOnce(&mut Problem)) {
        let mut problem = problem(rule, node);
        change(&mut problem);
        problem.labels.insert("severity", problem.severity.as_str());
        let answer = Answer::Wrong(Box::new(problem));
        self.with(|book, rules| book.answer(rules, key(rule, node), answer));
    }

    pub(crate) fn well(&mut self, rule: &str, node: &str) {
        self.with(|book, rules| book.well(rules, &key(rule, node)));
    }

    pub(crate) fn unknown(&mut self, rule: &str, node: &str) {
        let answer = Answer::Unknown("no data".to_owned());
        self.with(|book, rules| book.answer(rules, key(rule, node), answer));
    }

    pub(crate) fn acknowledge(&mut self, rule: &str, node: &str, minutes: Option<u64>) -> bool {
        let Some(id) = self.alert(rule, node).map(|alert| alert.id.clone()) else { return false };
        let now = self.now;
        let until = minutes.map(|minutes| now.plus(Duration::from_secs(60 * minutes)));
        let by = || "ada".to_owned();
        let acknowledgement =
            Acknowledgement { by: by(), comment: "at it".to_owned(), at: now, until };
        self.with(|book, rules| book.acknowledge(rules, &id, acknowledgement))
    }

    /// Silences what these match from now on.
    pub(crate) fn silence(&mut self, matchers: &str, minutes: u64) {
        let matchers = Matchers::parse(matchers).expect("matchers");
        let until = self.now.plus(Duration::from_secs(60 * minutes));
        self.quiet.0.push((matchers, self.now, until));
        self.with(|book, rules| book.replan(rules));
    }

    pub(crate) fn widen(&mut self, population: &Population) {
        self.with(|book, rules| book.widen(rules, population));
    }

    pub(crate) fn alert(&self, rule: &str, node: &str) -> Option<&Alert> {
        self.book.get(&key(rule, node))
    }

    pub(crate) fn word(&self, rule: &str, node: &str) -> &'static str {
        self.alert(rule, node).map_or("none", Alert::word)
    }

    /// What a receiver was told, a line a notice: `+` what fires, `!` what is told again, `-` what is
    /// over; with the seconds since the story began.
    pub(crate) fn told(&self, receiver: &str) -> Vec<String> {
        let start = 1_800_000_000_000;
        let of_receiver = self.arrived.values().filter(|notice| *notice.receiver == *receiver);
        of_receiver
            .map(|notice| {
                let mut line = format!("{}:", (notice.at.as_unix_ms() - start) / 1000);
                for item in &notice.firing {
                    let mark = if item.again { '!' } else { '+' };
                    line.push_str(&format!(" {mark}{}", name(&item.key)));
                    if item.severity == Severity::Critical {
                        line.push_str("(critical)");
                    }
                }
                for item in &notice.resolved {
                    line.push_str(&format!(" -{}", name(&item.key)));
                }
                line
            })
            .collect()
    }

    /// For each receiver and each life of an alert: whether it was told, and how it was told last.
    pub(crate) fn ledger(&self) -> BTreeMap<(Arc<str>, AlertId), bool> {
        let mut open = BTreeMap::new();
        for notice in self.arrived.values() {
            for item in &notice.firing {
                open.insert((Arc::clone(&notice.receiver), item.alert.clone()), true);
            }
            for item in &notice.resolved {
                let known = open.insert((Arc::clone(&notice.receiver), item.alert.clone()), false);
                assert!(known.is_some(), "{:?} ended and never began", item.key);
            }
        }
        open
    }
}

fn name(key: &Key) -> String {
    match key.resource.name() {
        "fleet" => format!("{}[{}]", key.rule, key.instance),
        node => format!("{}/{node}", key.rule),
    }
}

pub(crate) fn key(rule: &str, node: &str) -> Key {
    let resource = ResourceId::node(node).expect("a valid name");
    Key { rule: rule.into(), resource, instance: "".into() }
}

pub(crate) fn problem(rule: &str, node: &str) -> Problem {
    Problem {
        severity: Severity::Warning,
        labels: [("rule", rule), ("node", node)].into_iter().collect(),
        summary: format!("{rule} of {node}"),
        explanation: Vec::new(),
        advice: None,
        pending_for: Duration::ZERO,
        keep_firing_for: Duration::ZERO,
        cause: None,
    }
}

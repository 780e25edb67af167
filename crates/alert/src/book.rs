//! The book of alerts: every alert's life, and what is owed to whom.
//!
//! What must hold, whatever happens and wherever the process is killed:
//! - what was told to have begun is told to have ended, to the same receivers, silenced or not;
//! - an answer that is missing is never the end of an alert;
//! - nothing is told twice under two names: a notice, once made, keeps its number and its words until
//!   it is delivered, and its group makes no other until then;
//! - everything that waits for a time is part of what is kept ([`Kept`]); there are no timers beside.
//!
//! The book changes in memory and says what changed ([`Book::take_changes`]); its owner keeps that in one
//! transaction and only then delivers. What was lost before it was kept comes again with the next
//! answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::{ResourceId, Timestamp};

use crate::Labels;
use crate::alert::{Acknowledgement, Alert, AlertId, Answer, Hush, Key, Severity, State, Told};
use crate::routing::{Budget, Route};

mod answers;
mod notices;
mod plan;
mod wide;

pub use notices::{Delivery, Group, Item, Notice, NoticeId};
pub use wide::Population;

/// The numbers of the life cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BookPolicy {
    /// How long after the end of an alert was told the same one is not told again (seed 4).
    pub cooldown: Duration,
    /// So many lives within [`Self::flap_window`] are one that flaps.
    pub flap_count: usize,
    /// See [`Self::flap_count`].
    pub flap_window: Duration,
    /// How long an alert that flaps must be well before it is over.
    pub flap_quiet: Duration,
    /// For how long after its cause ended an alert is given time to end, too.
    pub cause_grace: Duration,
    /// After which time without any answer an alert is over.
    pub expire_after: Duration,
    /// From which share of all resources on one fault is one alert for all of them.
    pub wide_share: f64,
    /// And for the resources with the same value of one of these labels from when all of them have it.
    pub wide_labels: Vec<String>,
    /// The fewest resources that are called many.
    pub wide_least: usize,
    /// The most alerts in the book; what comes beyond is counted and refused.
    pub max_alerts: usize,
    /// The most alerts in one notice; the others follow in the next.
    pub max_items: usize,
}

impl Default for BookPolicy {
    fn default() -> Self {
        Self {
            cooldown: Duration::from_secs(300),
            flap_count: 4,
            flap_window: Duration::from_secs(3600),
            flap_quiet: Duration::from_secs(900),
            cause_grace: Duration::from_secs(120),
            expire_after: Duration::from_secs(7 * 24 * 3600),
            wide_share: 0.2,
            wide_labels: vec!["rack".to_owned()],
            wide_least: 3,
            max_alerts: 100_000,
            max_items: 500,
        }
    }
}

/// What tells apart what is wrong with one resource: the rule, and the instance.
pub type Part = (Arc<str>, Arc<str>);

/// Who is silent when.
pub trait Quiet {
    /// The silence that covers labels now, and until when; of several the one that lasts longest.
    fn covering(&self, labels: &Labels, now: Timestamp) -> Option<(String, Timestamp)>;
}

/// Nobody asked for silence.
impl Quiet for () {
    fn covering(&self, _: &Labels, _: Timestamp) -> Option<(String, Timestamp)> {
        None
    }
}

/// What the book is read by: the time, and what people have decided.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Now.
    pub now: Timestamp,
    /// The numbers.
    pub policy: &'a BookPolicy,
    /// Who is told.
    pub routing: &'a Route,
    /// How much each receiver bears; none: as much as comes.
    pub budgets: &'a BTreeMap<Arc<str>, Budget>,
    /// Silences.
    pub quiet: &'a dyn Quiet,
}

/// What happened to an alert, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertEventKind {
    /// It fires: people are to know.
    Opened,
    /// It became worse.
    Raised,
    /// Someone took it on.
    Acknowledged,
    /// Nobody is at it any more.
    Unacknowledged,
    /// It is over.
    Resolved,
    /// It comes and goes, and is told once.
    Flapping,
    /// A notice could not be delivered for good.
    Undeliverable,
}

/// Something that happened to an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: AlertEventKind,
    /// To which; none for what concerns several.
    pub alert: Option<AlertId>,
    /// What it is about.
    pub resource: Option<ResourceId>,
    /// One sentence.
    pub message: String,
}

/// What changed since it was last asked: to be kept in one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Alerts as they are now.
    pub alerts: Vec<Alert>,
    /// Alerts that are not needed any more.
    pub forgotten: Vec<Key>,
    /// Groups as they are now.
    pub groups: Vec<Group>,
    /// Groups that are not needed any more.
    pub ended_groups: Vec<String>,
    /// Notices to be delivered from when this is kept.
    pub notices: Vec<Notice>,
    /// Notices that are done with.
    pub done: Vec<NoticeId>,
    /// What goes with the book as a whole.
    pub head: Option<Head>,
    /// What happened.
    pub events: Vec<AlertEvent>,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is kept of the book as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Head {
    /// The number of the last notice.
    pub last_notice: u64,
    /// What each receiver has left.
    pub purses: BTreeMap<Arc<str>, Purse>,
}

/// What a receiver has left of its budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Purse {
    /// How many notices may be sent at once.
    pub left: f64,
    /// As of when.
    pub at: Timestamp,
}

/// Everything that is kept, as it is loaded after a start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// All alerts.
    pub alerts: Vec<Alert>,
    /// All groups.
    pub groups: Vec<Group>,
    /// All notices that are not done with.
    pub notices: Vec<Notice>,
    /// What goes with the book as a whole.
    pub head: Head,
}

/// What waits for a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Alert(Key),
    Group(String),
    Receiver(Arc<str>),
}

/// All alerts and what is owed to whom.
#[derive(Debug, Default)]
pub struct Book {
    alerts: BTreeMap<ResourceId, BTreeMap<Part, Alert>>,
    count: usize,
    refused: u64,
    by_id: HashMap<AlertId, Key>,
    groups: BTreeMap<String, Group>,
    notices: BTreeMap<NoticeId, Notice>,
    head: Head,
    /// Who waits for what each receiver bears.
    waiting: BTreeMap<Arc<str>, BTreeSet<String>>,
    /// Alerts by what explains them.
    explained: BTreeMap<Key, BTreeSet<Key>>,
    /// Which resources each rule's alerts fire for, and for how many of their instances.
    firing: BTreeMap<Arc<str>, BTreeMap<ResourceId, u32>>,
    /// Rules whose firing alerts changed since they were last counted.
    recount: BTreeSet<Arc<str>>,
    /// The time of the last call.
    latest: Option<Timestamp>,
    due: BTreeSet<(Timestamp, Due)>,
    due_of: HashMap<Key, Timestamp>,
    touched_alerts: BTreeSet<Key>,
    touched_groups: BTreeSet<String>,
    changes: Changes,
}

impl Book {
    /// As it was kept.
    #[must_use]
    pub fn load(kept: Kept, now: Timestamp) -> Self {
        let mut book = Self { head: kept.head, ..Self::default() };
        for alert in kept.alerts {
            book.insert(alert);
        }
        for group in kept.groups {
            book.groups.insert(group.id.clone(), group);
        }
        for notice in kept.notices {
            book.notices.insert(notice.id, notice);
        }
        // Whatever was kept with a later time was kept by a clock that was set back since.
        let latest = book.iter().map(|alert| alert.seen);
        let told = book.groups.values().filter_map(|group| group.told_at.max(group.owing_since));
        book.latest = latest.chain(told).max().max(Some(now));
        // Each is looked at once, which finds all times that are waited for.
        let keys: Vec<Key> = book.iter().map(|alert| alert.key.clone()).collect();
        book.due.extend(keys.into_iter().map(|key| (now, Due::Alert(key))));
        let groups: Vec<String> = book.groups.keys().cloned().collect();
        book.due.extend(groups.into_iter().map(|id| (now, Due::Group(id))));
        book.recount = book.firing.keys().cloned().collect();
        book
    }

    /// Everything that would have to be kept.
    #[must_use]
    pub fn keep(&self) -> Kept {
        Kept {
            alerts: self.iter().cloned().collect(),
            groups: self.groups.values().cloned().collect(),
            notices: self.notices.values().cloned().collect(),
            head: self.head.clone(),
        }
    }

    /// All alerts, by what they are about; those that are over stay for a while.
    pub fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().flat_map(BTreeMap::values)
    }

    /// The alert of a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Alert> {
        self.alerts.get(&key.resource)?.get(&part(key))
    }

    /// The alert of this name.
    #[must_use]
    pub fn find(&self, id: &AlertId) -> Option<&Alert> {
        self.get(self.by_id.get(id)?).filter(|alert| alert.id == *id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many problems had no place.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Notices that are not done with, in the order in which they were made.
    pub fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.notices.values()
    }

    /// When [`Self::tick`] is next of use.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Sees what time it is. A clock that was set back must not stop what waits for a time: then
    /// nothing happened later than now, and everything is looked at.
    fn come(&mut self, rules: &Rules<'_>) {
        let before = self.latest.replace(rules.now);
        if before.is_some_and(|before| rules.now < before) {
            self.set_back(rules);
        }
    }

    #[cold]
    fn set_back(&mut self, rules: &Rules<'_>) {
        let keys: Vec<Key> = self.iter().map(|alert| alert.key.clone()).collect();
        for key in &keys {
            if let Some(alert) = self.alert_mut(key) {
                alert.set_back(rules.now);
            }
        }
        for group in self.groups.values_mut() {
            group.set_back(rules.now);
        }
        for purse in self.head.purses.values_mut() {
            purse.at = purse.at.min(rules.now);
        }
        self.changes.head = Some(self.head.clone());
        self.touched_groups.extend(self.groups.keys().cloned());
        self.due.clear();
        self.due_of.clear();
        self.due.extend(self.waiting.keys().map(|it| (rules.now, Due::Receiver(Arc::clone(it)))));
        for id in self.groups.keys().cloned().collect::<Vec<_>>() {
            self.settle(&id);
        }
        for key in keys {
            self.plan(rules, &key);
        }
    }

    /// Does what is due: alerts whose time has come, and notices.
    pub fn tick(&mut self, rules: &Rules<'_>) {
        self.come(rules);
        while let Some((at, _)) = self.due.first() {
            if *at > rules.now {
                break;
            }
            let Some((at, due)) = self.due.pop_first() else { break };
            match due {
                Due::Alert(key) => {
                    if self.due_of.get(&key) == Some(&at) {
                        self.due_of.remove(&key);
                    }
                    self.plan(rules, &key);
                }
                Due::Group(id) => self.flush(rules, &id),
                Due::Receiver(receiver) => self.flush_waiting(rules, &receiver),
            }
        }
    }

    /// Someone takes an alert on; true if there is such an alert and it fires.
    pub fn acknowledge(
        &mut self,
        rules: &Rules<'_>,
        id: &AlertId,
        acknowledgement: Acknowledgement,
    ) -> bool {
        self.come(rules);
        let Some(key) = self.find(id).filter(|it| it.is_firing()).map(|it| it.key.clone()) else {
            return false;
        };
        let says = match &*acknowledgement.comment {
            "" => format!("{key} was acknowledged by {}", acknowledgement.by),
            comment => format!("{key} was acknowledged by {}: {comment}", acknowledgement.by),
        };
        if let Some(alert) = self.alert_mut(&key) {
            alert.acknowledged = Some(acknowledgement);
        }
        self.tell(rules.now, AlertEventKind::Acknowledged, Some(&key), says);
        self.plan(rules, &key);
        true
    }

    /// Nobody is at it any more.
    pub fn unacknowledge(&mut self, rules: &Rules<'_>, id: &AlertId, why: &str) -> bool {
        self.come(rules);
        let found = self.find(id).filter(|it| it.acknowledged.is_some());
        let Some(key) = found.map(|it| it.key.clone()) else { return false };
        self.drop_acknowledgement(rules, &key, why);
        self.plan(rules, &key);
        true
    }

    /// What people have decided is different now (silences, routes, rules): everything is looked at.
    pub fn replan(&mut self, rules: &Rules<'_>) {
        self.come(rules);
        let keys: Vec<Key> = self.iter().map(|alert| alert.key.clone()).collect();
        for key in keys {
            self.plan(rules, &key);
        }
    }

    /// What is to be kept since it was last asked.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = std::mem::take(&mut self.changes);
        for key in std::mem::take(&mut self.touched_alerts) {
            match self.get(&key) {
                Some(alert) => changes.alerts.push(alert.clone()),
                None => changes.forgotten.push(key),
            }
        }
        for id in std::mem::take(&mut self.touched_groups) {
            match self.groups.get(&id) {
                Some(group) => changes.groups.push(group.clone()),
                None => changes.ended_groups.push(id),
            }
        }
        changes
    }

    fn drop_acknowledgement(&mut self, rules: &Rules<'_>, key: &Key, why: &str) {
        if let Some(alert) = self.alert_mut(key) {
            alert.acknowledged = None;
        }
        let says = format!("{key} is not acknowledged any more: {why}");
        self.tell(rules.now, AlertEventKind::Unacknowledged, Some(key), says);
    }

    fn tell(&mut self, at: Timestamp, kind: AlertEventKind, key: Option<&Key>, message: String) {
        let alert = key.and_then(|key| self.get(key)).map(|alert| alert.id.clone());
        let resource = key.map(|key| key.resource.clone());
        self.changes.events.push(AlertEvent { at, kind, alert, resource, message });
    }

    /// An alert that is about to be changed.
    fn alert_mut(&mut self, key: &Key) -> Option<&mut Alert> {
        let alert = self.alerts.get_mut(&key.resource)?.get_mut(&part(key))?;
        self.touched_alerts.insert(key.clone());
        Some(alert)
    }

    /// An alert of which something changes that need not be kept.
    fn alert_unkept(&mut self, key: &Key) -> Option<&mut Alert> {
        self.alerts.get_mut(&key.resource)?.get_mut(&part(key))
    }

    /// Takes an alert in, in place of the one of its key.
    fn insert(&mut self, alert: Alert) {
        let key = alert.key.clone();
        self.remove(&key);
        if alert.is_firing() {
            self.count_firing(&key);
        }
        if let Some(cause) = &alert.cause {
            self.explained.entry(cause.clone()).or_default().insert(key.clone());
        }
        self.by_id.insert(alert.id.clone(), key.clone());
        self.alerts.entry(key.resource.clone()).or_default().insert(part(&key), alert);
        self.count += 1;
    }

    /// Takes an alert out.
    fn remove(&mut self, key: &Key) -> Option<Alert> {
        let of_resource = self.alerts.get_mut(&key.resource)?;
        let alert = of_resource.remove(&part(key))?;
        if of_resource.is_empty() {
            self.alerts.remove(&key.resource);
        }
        self.count -= 1;
        self.by_id.remove(&alert.id);
        if alert.is_firing() {
            self.uncount_firing(key);
        }
        self.explain(key, alert.cause.as_ref(), None);
        if let Some(at) = self.due_of.remove(key) {
            self.due.remove(&(at, Due::Alert(key.clone())));
        }
        Some(alert)
    }

    /// Notes what explains an alert, in place of what did before.
    fn explain(&mut self, key: &Key, before: Option<&Key>, now: Option<&Key>) {
        if before == now {
            return;
        }
        if let Some(before) = before
            && let Some(all) = self.explained.get_mut(before)
        {
            all.remove(key);
            if all.is_empty() {
                self.explained.remove(before);
            }
        }
        if let Some(cause) = now {
            self.explained.entry(cause.clone()).or_default().insert(key.clone());
        }
    }

    /// Looks at an alert again at this time, or earlier if that was planned before.
    fn wake(&mut self, key: &Key, at: Timestamp) {
        if let Some(&before) = self.due_of.get(key) {
            if before <= at {
                return;
            }
            self.due.remove(&(before, Due::Alert(key.clone())));
        }
        self.due_of.insert(key.clone(), at);
        self.due.insert((at, Due::Alert(key.clone())));
    }
}

/// A key within its resource.
fn part(key: &Key) -> Part {
    (Arc::clone(&key.rule), Arc::clone(&key.instance))
}

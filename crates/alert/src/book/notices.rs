//! Groups of alerts that are told together, and the notices made of them.

use super::*;

/// The number of a notice: ascending, never given twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NoticeId(pub u64);

/// Alerts that one receiver is told of together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Route, receiver and labels.
    pub id: String,
    /// By which route.
    pub route: Arc<str>,
    /// Who is told.
    pub receiver: Arc<str>,
    /// What its alerts have in common by the route's `group_by`.
    pub labels: Labels,
    /// Of what it tells, or told and has not yet told the end.
    #[serde(default)]
    pub members: BTreeSet<Key>,
    /// Since when there is something to tell.
    #[serde(default)]
    pub owing_since: Option<Timestamp>,
    /// When it was last told.
    #[serde(default)]
    pub told_at: Option<Timestamp>,
    /// The notice that is on its way.
    #[serde(default)]
    pub in_flight: Option<NoticeId>,
    /// How long the first notice waits for company.
    pub wait: Duration,
    /// The least time between two notices.
    pub interval: Duration,
}

impl Group {
    pub(super) fn new(route: &Route, receiver: &Arc<str>, labels: &Labels) -> Self {
        let labels = labels.only(&route.group_by);
        Self {
            id: format!("{}/{receiver}/{labels}", route.name),
            route: Arc::clone(&route.name),
            receiver: Arc::clone(receiver),
            labels,
            members: BTreeSet::new(),
            owing_since: None,
            told_at: None,
            in_flight: None,
            wait: route.wait,
            interval: route.interval,
        }
    }

    /// When it may tell what it has to tell.
    fn due(&self) -> Option<Timestamp> {
        let since = self.owing_since.filter(|_| self.in_flight.is_none())?;
        let waited = since.plus(self.wait);
        Some(match self.told_at {
            None => waited,
            Some(told) => waited.max(told.plus(self.interval)),
        })
    }

    /// Nothing happened later than now.
    pub(super) fn set_back(&mut self, now: Timestamp) {
        for at in [&mut self.owing_since, &mut self.told_at].into_iter().flatten() {
            *at = (*at).min(now);
        }
    }
}

/// What a notice says of one alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Which.
    pub alert: AlertId,
    /// What it is about.
    pub key: Key,
    /// How bad.
    pub severity: Severity,
    /// Its labels.
    pub labels: Labels,
    /// One sentence.
    pub summary: String,
    /// Why, a line each.
    pub explanation: Vec<String>,
    /// What to do.
    pub advice: Option<String>,
    /// When it was first found.
    pub opened: Timestamp,
    /// When it ended; none while it fires.
    pub ended: Option<Timestamp>,
    /// Why it ended, if it is not simply well again.
    pub why: Option<String>,
    /// Whether it was told before.
    pub again: bool,
    /// Whether it comes and goes.
    pub flapping: bool,
}

/// One message to one receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Its number; what it says never changes.
    pub id: NoticeId,
    /// To whom.
    pub receiver: Arc<str>,
    /// Of which groups: one, or many in a digest.
    pub groups: Vec<String>,
    /// What all its alerts' groups have in common.
    pub labels: Labels,
    /// When it was made.
    pub at: Timestamp,
    /// Alerts that fire.
    pub firing: Vec<Item>,
    /// Alerts that are over.
    pub resolved: Vec<Item>,
    /// How many more of the same groups fire and were told before.
    pub still_firing: usize,
    /// Whether it stands for several groups because they were too many for the receiver.
    pub digest: bool,
}

/// How the delivery of a notice ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It arrived.
    Done,
    /// It never will, and why.
    Refused(String),
}

impl Book {
    /// The delivery of a notice ended. False if there is no such notice any more.
    pub fn delivered(&mut self, rules: &Rules<'_>, id: NoticeId, how: &Delivery) -> bool {
        self.come(rules);
        let Some(notice) = self.notices.remove(&id) else { return false };
        self.changes.done.push(id);
        // One that was made since it was last asked is not to be kept at all.
        self.changes.notices.retain(|made| made.id != id);
        if let Delivery::Refused(why) = how {
            let says =
                format!("notice {} could not be delivered to {}: {why}", id.0, notice.receiver);
            self.tell(rules.now, AlertEventKind::Undeliverable, None, says);
        }
        for group in notice.groups {
            if let Some(group) = self.group_mut(&group) {
                group.in_flight = group.in_flight.filter(|flying| *flying != id);
            }
            self.settle(&group);
        }
        true
    }

    fn group_mut(&mut self, id: &str) -> Option<&mut Group> {
        let group = self.groups.get_mut(id)?;
        self.touched_groups.insert(id.to_owned());
        Some(group)
    }

    /// An alert belongs to a group.
    pub(super) fn join(&mut self, rules: &Rules<'_>, group: Group, key: &Key, owed: bool) {
        let id = group.id.clone();
        let known = self.groups.entry(id.clone()).or_insert_with(|| {
            self.touched_groups.insert(id.clone());
            group
        });
        if known.members.insert(key.clone()) {
            self.touched_groups.insert(id.clone());
        }
        if owed {
            self.ask_for(rules, &id);
        }
    }

    /// A group has something to tell.
    pub(super) fn ask_for(&mut self, rules: &Rules<'_>, id: &str) {
        let Some(group) = self.groups.get(id) else { return };
        if group.owing_since.is_none()
            && let Some(group) = self.group_mut(id)
        {
            group.owing_since = Some(rules.now);
        }
        self.settle(id);
    }

    /// An alert does not belong to a group any more.
    pub(super) fn leave(&mut self, id: &str, key: &Key) {
        let Some(group) = self.group_mut(id) else { return };
        group.members.remove(key);
        if group.members.is_empty() && group.in_flight.is_none() {
            self.end_group(id);
        }
    }

    fn end_group(&mut self, id: &str) {
        if let Some(group) = self.groups.remove(id)
            && let Some(waiting) = self.waiting.get_mut(&group.receiver)
        {
            waiting.remove(id);
        }
        self.touched_groups.insert(id.to_owned());
    }

    /// When a group is next to be looked at; it ends when it has nothing left.
    pub(super) fn settle(&mut self, id: &str) {
        let Some(group) = self.groups.get(id) else { return };
        if group.members.is_empty() && group.in_flight.is_none() {
            self.end_group(id);
        } else if let Some(at) = group.due() {
            self.due.insert((at, Due::Group(id.to_owned())));
        }
    }

    /// A group's time has come.
    pub(super) fn flush(&mut self, rules: &Rules<'_>, id: &str) {
        let Some(group) = self.groups.get(id) else { return };
        let receiver = Arc::clone(&group.receiver);
        match group.due() {
            None => return,
            Some(at) if at > rules.now => {
                self.due.insert((at, Due::Group(id.to_owned())));
                return;
            }
            Some(_) => {}
        }
        self.waiting.entry(Arc::clone(&receiver)).or_default().insert(id.to_owned());
        self.flush_waiting(rules, &receiver);
    }

    /// Tells what waits for a receiver, if it bears it: each group by itself, or, once that was too
    /// much, all of them in one.
    pub(super) fn flush_waiting(&mut self, rules: &Rules<'_>, receiver: &Arc<str>) {
        let waiting = self.waiting.get(receiver).cloned().unwrap_or_default();
        if waiting.is_empty() {
            self.waiting.remove(receiver);
            return;
        }
        if let Some(at) = self.pay(rules, receiver) {
            self.due.insert((at, Due::Receiver(Arc::clone(receiver))));
            return;
        }
        self.waiting.remove(receiver);
        if !self.compose(rules, receiver, waiting.into_iter().collect()) {
            self.pay_back(receiver);
        }
    }

    /// Takes one notice out of a receiver's budget; where there is none left, when there will be.
    fn pay(&mut self, rules: &Rules<'_>, receiver: &Arc<str>) -> Option<Timestamp> {
        let budget = *rules.budgets.get(receiver)?;
        let (now, most) = (rules.now, f64::from(budget.burst.max(1)));
        let per = budget.per.as_secs_f64().max(0.001);
        let purse = self.head.purses.get(receiver).copied();
        let purse = purse.unwrap_or(Purse { left: most, at: now });
        let left = (purse.left + now.since(purse.at).as_secs_f64() / per).clamp(0.0, most);
        if left >= 1.0 {
            self.head.purses.insert(Arc::clone(receiver), Purse { left: left - 1.0, at: now });
            self.changes.head = Some(self.head.clone());
            return None;
        }
        // Rounded up, so that it is there when it is looked for.
        let wait = Duration::from_secs_f64((1.0 - left) * per) + Duration::from_millis(1);
        Some(now.plus(wait))
    }

    fn pay_back(&mut self, receiver: &Arc<str>) {
        if let Some(purse) = self.head.purses.get_mut(receiver) {
            purse.left += 1.0;
            self.changes.head = Some(self.head.clone());
        }
    }

    /// Makes a notice of what groups have to tell. False if there is nothing.
    fn compose(&mut self, rules: &Rules<'_>, receiver: &Arc<str>, groups: Vec<String>) -> bool {
        let id = NoticeId(self.head.last_notice + 1);
        let mut notice = Notice {
            id,
            receiver: Arc::clone(receiver),
            groups: Vec::new(),
            labels: Labels::default(),
            at: rules.now,
            firing: Vec::new(),
            resolved: Vec::new(),
            still_firing: 0,
            digest: false,
        };
        for group in &groups {
            if self.add_group(rules, group, &mut notice) {
                notice.groups.push(group.clone());
            } else {
                self.settle(group);
            }
        }
        if notice.groups.is_empty() {
            return false;
        }
        let all = notice.groups.iter().filter_map(|id| self.groups.get(id));
        notice.labels = Labels::common(all.map(|group| &group.labels));
        notice.digest = notice.groups.len() > 1;
        self.head.last_notice = id.0;
        self.changes.head = Some(self.head.clone());
        self.changes.notices.push(notice.clone());
        self.notices.insert(id, notice);
        true
    }

    /// Adds what one group has to tell; false if that is nothing. Then it is told.
    fn add_group(&mut self, rules: &Rules<'_>, id: &str, notice: &mut Notice) -> bool {
        let Some(group) = self.groups.get(id) else { return false };
        let members: Vec<Key> = group.members.iter().cloned().collect();
        let (mut added, mut still_firing, mut left_over) = (0, 0, false);
        for key in &members {
            let Some(told) = self.get(key).and_then(|alert| alert.told.get(id)) else {
                self.leave(id, key);
                continue;
            };
            if !told.owed {
                still_firing += usize::from(told.severity.is_some());
                continue;
            }
            if notice.firing.len() + notice.resolved.len() >= rules.policy.max_items {
                left_over = true;
                continue;
            }
            added += 1;
            self.add_alert(rules, id, key, notice);
        }
        if let Some(group) = self.group_mut(id) {
            // What found no place follows as soon as this has arrived.
            group.owing_since = left_over.then_some(rules.now.minus(group.wait));
            if added > 0 {
                group.told_at = (!left_over).then_some(rules.now);
                group.in_flight = Some(notice.id);
            }
        }
        if added > 0 {
            notice.still_firing += still_firing;
        }
        added > 0
    }

    fn add_alert(&mut self, rules: &Rules<'_>, group: &str, key: &Key, notice: &mut Notice) {
        let now = rules.now;
        let Some(alert) = self.alert_mut(key) else { return };
        let Some(told) = alert.told.get_mut(group) else { return };
        let again = told.severity.is_some();
        let (ended, why) = match &alert.state {
            State::Resolved { at, why } => (Some(*at), why.clone()),
            _ => (None, None),
        };
        if ended.is_some() {
            alert.told.remove(group);
            alert.told_over = Some(now);
        } else {
            *told = Told { severity: Some(alert.severity), at: Some(now), owed: false };
        }
        let item = Item {
            alert: alert.id.clone(),
            key: key.clone(),
            severity: alert.severity,
            labels: alert.labels.clone(),
            summary: alert.summary.clone(),
            explanation: alert.explanation.clone(),
            advice: alert.advice.clone(),
            opened: alert.opened,
            ended,
            why,
            again,
            flapping: alert.flapping,
        };
        if ended.is_some() {
            notice.resolved.push(item);
            if let Some(group) = self.group_mut(group) {
                group.members.remove(key);
            }
        } else {
            notice.firing.push(item);
        }
        // When it is to be told again, or forgotten.
        self.wake(key, now);
    }
}

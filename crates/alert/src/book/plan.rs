//! What an alert's state means for who is told: looked at whenever it, or what it hangs on, changes.

use super::*;

/// How far causes are followed.
const MAX_CHAIN: usize = 8;

impl Book {
    /// Brings what is owed of one alert up to date, and when it is to be looked at again.
    pub(super) fn plan(&mut self, rules: &Rules<'_>, key: &Key) {
        let Some(alert) = self.get(key) else { return };
        match alert.state {
            State::Pending { .. } => self.expire(rules, key),
            State::Firing { well_since, .. } => {
                let quiet = if alert.flapping {
                    alert.keep_firing_for.max(rules.policy.flap_quiet)
                } else {
                    alert.keep_firing_for
                };
                if let Some(start) = well_since {
                    if rules.now.since(start) >= quiet {
                        self.resolve(rules, key, None);
                        return;
                    }
                    self.wake(key, start.plus(quiet));
                }
                self.expire(rules, key);
                self.plan_firing(rules, key);
            }
            State::Resolved { at, .. } => self.plan_resolved(rules, key, at),
        }
    }

    /// Ends what nothing was heard of for too long.
    fn expire(&mut self, rules: &Rules<'_>, key: &Key) {
        let Some(alert) = self.get(key) else { return };
        let ends = alert.seen.plus(rules.policy.expire_after);
        if wide::rule_of(key).is_some() {
            // It hangs on its members, and is answered only when they change.
            return;
        }
        if ends > rules.now {
            self.wake(key, ends);
        } else if alert.is_firing() {
            let hours = rules.policy.expire_after.as_secs() / 3600;
            let why = format!("nothing was heard of it for {hours} hours");
            self.resolve(rules, key, Some(why));
        } else {
            self.forget(key);
        }
    }

    fn plan_firing(&mut self, rules: &Rules<'_>, key: &Key) {
        let now = rules.now;
        let lapsed = |alert: &Alert| {
            alert.acknowledged.as_ref().and_then(|it| it.until).is_some_and(|until| until <= now)
        };
        if self.get(key).is_some_and(lapsed) {
            self.drop_acknowledgement(rules, key, "its time is over");
        }
        let Some(alert) = self.get(key).filter(|alert| alert.is_firing()) else { return };
        let (hush, mut next) = self.hush(rules, alert);
        let since = alert.firing_since().unwrap_or(now);
        let acknowledged = alert.acknowledged.is_some();
        let mut told = alert.told.clone();
        let mut targets = BTreeSet::new();
        let mut joined = Vec::new();
        for leaf in rules.routing.leaves(&alert.labels) {
            for step in &leaf.steps {
                let at = since.plus(step.after);
                let group_of = |receiver| Group::new(leaf, receiver, &alert.labels);
                for group in step.receivers.iter().map(group_of) {
                    if at > now || (acknowledged && !told.contains_key(&group.id)) {
                        continue;
                    }
                    let entry = told.entry(group.id.clone()).or_default();
                    let repeat = entry.at.filter(|_| !leaf.repeat.is_zero());
                    let repeat = repeat.map(|told| told.plus(leaf.repeat));
                    let news = entry.severity.is_none_or(|told| told < alert.severity);
                    entry.owed =
                        hush.is_none() && (news || repeat.is_some_and(|repeat| repeat <= now));
                    if let Some(repeat) = repeat.filter(|repeat| *repeat > now && hush.is_none()) {
                        next = earlier(next, repeat);
                    }
                    targets.insert(group.id.clone());
                    joined.push(group);
                }
                if at > now && !acknowledged {
                    next = earlier(next, at);
                    break;
                }
            }
        }
        // Who is not to be told any more, by another route, hears of its end all the same.
        told.retain(|id, told| targets.contains(id) || told.severity.is_some());
        for (id, told) in &mut told {
            told.owed &= targets.contains(id);
        }
        for group in joined {
            let owed = told.get(&group.id).is_some_and(|told| told.owed);
            self.join(rules, group, key, owed);
        }
        self.set_told(key, hush, told);
        if let Some(at) = next {
            self.wake(key, at);
        }
    }

    fn plan_resolved(&mut self, rules: &Rules<'_>, key: &Key, at: Timestamp) {
        let Some(alert) = self.get(key) else { return };
        let mut told = alert.told.clone();
        told.retain(|_, told| told.severity.is_some());
        for told in told.values_mut() {
            told.owed = true;
        }
        let owing: Vec<String> = told.keys().cloned().collect();
        let is_told = !told.is_empty();
        let policy = rules.policy;
        let until = at.plus(policy.cooldown.max(policy.flap_window));
        self.set_told(key, None, told);
        for id in owing {
            self.ask_for(rules, &id);
        }
        if is_told {
            return;
        }
        if until <= rules.now {
            self.forget(key);
        } else {
            self.wake(key, until);
        }
    }

    /// Writes down what an alert's plan is; leaves the groups in which nothing is told any more.
    fn set_told(&mut self, key: &Key, hush: Option<Hush>, told: BTreeMap<String, Told>) {
        let Some(alert) = self.get(key) else { return };
        if alert.told == told && alert.hush == hush {
            return;
        }
        let left: Vec<String> =
            alert.told.keys().filter(|id| !told.contains_key(*id)).cloned().collect();
        if let Some(alert) = self.alert_mut(key) {
            alert.told = told;
            alert.hush = hush;
        }
        for id in left {
            self.leave(&id, key);
        }
    }

    /// Why nobody is told of an alert, if so, and when that may change by itself.
    fn hush(&self, rules: &Rules<'_>, alert: &Alert) -> (Option<Hush>, Option<Timestamp>) {
        let now = rules.now;
        if let Some((id, until)) = rules.quiet.covering(&alert.labels, now) {
            return (Some(Hush::Silence { id, until }), Some(until));
        }
        if let Some(acknowledged) = &alert.acknowledged {
            return (Some(Hush::Acknowledged), acknowledged.until);
        }
        for cause in alert.cause.iter().cloned().chain(self.wide_over(rules, alert)) {
            if self.leads_back(&cause, &alert.key) {
                continue;
            }
            let grace = rules.policy.cause_grace;
            match self.get(&cause).map(|it| &it.state) {
                Some(State::Firing { .. }) => return (Some(Hush::Cause { key: cause }), None),
                Some(State::Resolved { at, .. }) if at.plus(grace) > now => {
                    let until = at.plus(grace);
                    return (Some(Hush::Cause { key: cause }), Some(until));
                }
                _ => {}
            }
        }
        let until = alert.told_over.map(|at| at.plus(rules.policy.cooldown));
        match until.filter(|until| *until > now && !alert.is_told()) {
            Some(until) => (Some(Hush::Cooldown { until }), Some(until)),
            None => (None, None),
        }
    }

    /// Whether what explains a cause is in the end what it is to explain: then it explains nothing.
    fn leads_back(&self, cause: &Key, to: &Key) -> bool {
        let mut at = cause.clone();
        for _ in 0..MAX_CHAIN {
            match self.get(&at).and_then(|alert| alert.cause.clone()) {
                Some(next) if next == *to => return true,
                Some(next) => at = next,
                None => return false,
            }
        }
        true
    }
}

fn earlier(one: Option<Timestamp>, other: Timestamp) -> Option<Timestamp> {
    Some(one.map_or(other, |one| one.min(other)))
}

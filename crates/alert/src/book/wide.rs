//! One fault on many resources is one alert that names them.

use super::*;

/// How many resources there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// In all.
    pub all: usize,
    /// With this value of this label.
    pub with: BTreeMap<(String, String), usize>,
}

/// The rule of alerts for many.
const RULE: &str = "widespread";
/// What an alert for all stands for.
const EVERYWHERE: &str = "";
/// So much of the share that made it wide must be left for it to stay so.
const STAYS: f64 = 0.75;
/// How long it must be less before it is over.
const QUIET: Duration = Duration::from_secs(60);
/// How many members a sentence names.
const NAMED: usize = 5;

/// A set of resources within which a fault may be wide: all, or those with a label's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Set {
    /// `rack=r7`, or nothing for all.
    name: String,
    size: usize,
    members: BTreeSet<ResourceId>,
}

impl Book {
    pub(super) fn count_firing(&mut self, key: &Key) {
        if *key.rule == *RULE {
            return;
        }
        let of_rule = self.firing.entry(Arc::clone(&key.rule)).or_default();
        *of_rule.entry(key.resource.clone()).or_default() += 1;
        self.recount.insert(Arc::clone(&key.rule));
    }

    pub(super) fn uncount_firing(&mut self, key: &Key) {
        let Some(of_rule) = self.firing.get_mut(&key.rule) else { return };
        if let Some(count) = of_rule.get_mut(&key.resource) {
            *count -= 1;
            if *count == 0 {
                of_rule.remove(&key.resource);
            }
        }
        if of_rule.is_empty() {
            self.firing.remove(&key.rule);
        }
        self.recount.insert(Arc::clone(&key.rule));
    }

    /// Sees which faults are on many resources: to be called when a turn's answers are in.
    pub fn widen(&mut self, rules: &Rules<'_>, population: &Population) {
        self.come(rules);
        for rule in std::mem::take(&mut self.recount) {
            self.widen_rule(rules, population, &rule);
        }
    }

    fn widen_rule(&mut self, rules: &Rules<'_>, population: &Population, rule: &Arc<str>) {
        let policy = rules.policy;
        let sets = self.sets(rules, population, rule);
        let mut wide: BTreeMap<Key, Set> = BTreeMap::new();
        for set in sets {
            let key = key_of(rule, &set.name);
            let is_wide = self.get(&key).is_some_and(Alert::is_firing);
            let share = if *set.name == *EVERYWHERE { policy.wide_share } else { 1.0 };
            let share = if is_wide { share * STAYS } else { share };
            #[expect(clippy::cast_precision_loss, reason = "counts of resources")]
            let has = set.members.len() as f64 >= share * set.size as f64;
            if has && set.members.len() >= policy.wide_least {
                wide.insert(key, set);
            }
        }
        let known: Vec<Key> = self
            .alerts
            .get(&fleet())
            .map(|all| all.values().map(|alert| alert.key.clone()).collect())
            .unwrap_or_default();
        let is_own = |key: &&Key| rule_of(key).as_deref() == Some(&**rule);
        for key in known.iter().filter(is_own).filter(|key| !wide.contains_key(*key)) {
            self.well(rules, key);
        }
        for (key, set) in wide {
            let was = self.get(&key).is_some_and(Alert::is_firing);
            let problem = self.wide_problem(rule, &set);
            self.answer(rules, key.clone(), Answer::Wrong(Box::new(problem)));
            if let Some(alert) = self.alert_mut(&key) {
                alert.members = set.members.into_iter().collect();
            }
            if !was {
                self.replan_members(rules, rule);
            }
        }
    }

    fn sets(&self, rules: &Rules<'_>, population: &Population, rule: &Arc<str>) -> Vec<Set> {
        let Some(firing) = self.firing.get(rule) else { return Vec::new() };
        let members: BTreeSet<ResourceId> = firing.keys().cloned().collect();
        let mut sets = vec![Set {
            name: EVERYWHERE.to_owned(),
            size: population.all,
            members: members.clone(),
        }];
        for label in &rules.policy.wide_labels {
            let mut by_value: BTreeMap<String, BTreeSet<ResourceId>> = BTreeMap::new();
            for member in &members {
                let value = self.alerts.get(member).and_then(|all| {
                    let own = all.values().find(|alert| alert.key.rule == *rule)?;
                    own.labels.get(label).map(str::to_owned)
                });
                if let Some(value) = value {
                    by_value.entry(value).or_default().insert(member.clone());
                }
            }
            sets.extend(by_value.into_iter().filter_map(|(value, members)| {
                let name = format!("{label}={value}");
                let size = *population.with.get(&(label.clone(), value))?;
                Some(Set { name, size, members })
            }));
        }
        sets
    }

    fn wide_problem(&self, rule: &Arc<str>, set: &Set) -> crate::Problem {
        let alerts = set.members.iter().filter_map(|member| {
            self.alerts
                .get(member)?
                .values()
                .filter(|it| it.key.rule == *rule)
                .find(|it| it.is_firing())
        });
        let alerts: Vec<&Alert> = alerts.collect();
        let severity = alerts.iter().map(|alert| alert.severity).max().unwrap_or_default();
        let mut labels = Labels::common(alerts.iter().map(|alert| &alert.labels));
        labels.insert("alert", RULE);
        labels.insert("rule", rule);
        labels.insert("severity", severity.as_str());
        let named: Vec<&str> = set.members.iter().take(NAMED).map(ResourceId::name).collect();
        let more = set.members.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let within =
            if set.name.is_empty() { String::new() } else { format!(" with {}", set.name) };
        let (count, size) = (set.members.len(), set.size.max(set.members.len()));
        let example = alerts.first().map(|alert| alert.summary.clone());
        crate::Problem {
            severity,
            labels,
            summary: format!("{rule} on {count} of {size}{within}: {}{more}", named.join(", ")),
            explanation: example.map(|says| format!("for example: {says}")).into_iter().collect(),
            advice: Some(
                "look for what they have in common: power, network, storage, a rollout".to_owned(),
            ),
            pending_for: Duration::ZERO,
            keep_firing_for: QUIET,
            cause: None,
        }
    }

    /// The alerts for many that stand for this one, too.
    pub(super) fn wide_over(&self, rules: &Rules<'_>, alert: &Alert) -> Vec<Key> {
        if *alert.key.rule == *RULE {
            return Vec::new();
        }
        let of_label = |label: &String| {
            let value = alert.labels.get(label)?;
            Some(key_of(&alert.key.rule, &format!("{label}={value}")))
        };
        let mut keys = vec![key_of(&alert.key.rule, EVERYWHERE)];
        keys.extend(rules.policy.wide_labels.iter().filter_map(of_label));
        keys
    }

    pub(super) fn replan_members(&mut self, rules: &Rules<'_>, rule: &Arc<str>) {
        let resources: Vec<ResourceId> =
            self.firing.get(rule).map(|all| all.keys().cloned().collect()).unwrap_or_default();
        for resource in resources {
            let of_rule = self.alerts.get(&resource).into_iter().flat_map(BTreeMap::values);
            let keys: Vec<Key> = of_rule
                .filter(|alert| alert.key.rule == *rule)
                .map(|alert| alert.key.clone())
                .collect();
            for key in keys {
                self.plan(rules, &key);
            }
        }
    }
}

/// The resource that alerts for many are about.
#[expect(clippy::expect_used, reason = "a constant name, tried by every test")]
fn fleet() -> ResourceId {
    ResourceId::new(sickbay_model::Kind::Cluster, "fleet").expect("a valid name")
}

/// The rule whose alerts one for many stands for; none if it is an alert like others.
pub(super) fn rule_of(key: &Key) -> Option<Arc<str>> {
    (*key.rule == *RULE).then(|| key.instance.split(" on ").next().unwrap_or_default().into())
}

fn key_of(rule: &str, set: &str) -> Key {
    let instance = if set.is_empty() { rule.to_owned() } else { format!("{rule} on {set}") };
    Key { rule: RULE.into(), resource: fleet(), instance: instance.into() }
}

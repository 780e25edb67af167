//! How often one client address may ask: a token bucket per address.
//!
//! IPv6 clients are told apart by their /64, the smallest block that is handed out. The number of
//! remembered addresses is limited; when it is met, addresses with a full bucket (they asked for
//! nothing lately) are forgotten, and if that makes no room, newcomers share one bucket.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::settings::Limits;

/// The buckets of all clients.
pub(super) struct RateLimiter {
    burst: f64,
    per_second: f64,
    max_clients: usize,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    clients: HashMap<IpAddr, Bucket>,
    shared: Option<Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Duration,
}

impl Bucket {
    fn refill(&mut self, burst: f64, per_second: f64, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = passed.mul_add(per_second, self.tokens).min(burst);
        self.at = self.at.max(now);
    }
}

impl RateLimiter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            burst: f64::from(limits.burst_requests.max(1)),
            per_second: f64::from(limits.requests_per_second.max(1)),
            max_clients: limits.rate_clients.max(1),
            buckets: Mutex::default(),
        }
    }

    /// Takes `cost` tokens of a client at a monotonic time.
    ///
    /// # Errors
    /// How long to wait, when there are too few; nothing is taken then.
    pub(super) fn take(&self, client: IpAddr, cost: u32, now: Duration) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = self.bucket(&mut buckets, key(client), now);
        bucket.refill(self.burst, self.per_second, now);
        let cost = f64::from(cost).min(self.burst);
        if bucket.tokens >= cost {
            bucket.tokens -= cost;
            return Ok(());
        }
        Err(Duration::from_secs_f64((cost - bucket.tokens) / self.per_second))
    }

    fn bucket<'b>(
        &self,
        buckets: &'b mut Buckets,
        client: IpAddr,
        now: Duration,
    ) -> &'b mut Bucket {
        let full = Bucket { tokens: self.burst, at: now };
        let known = buckets.clients.contains_key(&client);
        if !known && buckets.clients.len() >= self.max_clients {
            let (burst, per_second) = (self.burst, self.per_second);
            buckets.clients.retain(|_, bucket| {
                bucket.refill(burst, per_second, now);
                bucket.tokens < burst
            });
            if buckets.clients.len() >= self.max_clients {
                return buckets.shared.get_or_insert(full);
            }
        }
        buckets.clients.entry(client).or_insert(full)
    }
}

/// Which bucket an address draws from.
fn key(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(burst: u32, per_second: u32, clients: usize) -> RateLimiter {
        RateLimiter::new(&Limits {
            burst_requests: burst,
            requests_per_second: per_second,
            rate_clients: clients,
            ..Limits::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rate = limiter(3, 2, 10);
        let client = ip("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(rate.take(client, 1, Duration::ZERO), Ok(()));
        }
        assert_eq!(rate.take(client, 1, Duration::ZERO), Err(Duration::from_millis(500)));
        assert_eq!(rate.take(client, 1, Duration::from_millis(500)), Ok(()));
        assert!(rate.take(client, 1, Duration::from_millis(500)).is_err());
        // A clock that stands still or goes back gives nothing away.
        assert!(rate.take(client, 1, Duration::ZERO).is_err());
        assert_eq!(rate.take(ip("192.0.2.2"), 3, Duration::ZERO), Ok(()), "others are not touched");
    }

    #[test]
    fn one_block_of_ipv6_is_one_client_and_mapped_ipv4_is_ipv4() {
        let rate = limiter(1, 1, 10);
        assert!(rate.take(ip("2001:db8::1"), 1, Duration::ZERO).is_ok());
        assert!(rate.take(ip("2001:db8::ffff"), 1, Duration::ZERO).is_err());
        assert!(rate.take(ip("2001:db8:0:1::1"), 1, Duration::ZERO).is_ok());
        assert!(rate.take(ip("192.0.2.1"), 1, Duration::ZERO).is_ok());
        assert!(rate.take(ip("::ffff:192.0.2.1"), 1, Duration::ZERO).is_err());
    }

    #[test]
    fn memory_is_bounded_and_the_idle_are_forgotten_first() {
        let rate = limiter(1, 1, 2);
        for (client, at_s, expected) in [
            ("192.0.2.1", 0, true),
            ("192.0.2.2", 0, true),
            ("192.0.2.3", 0, true),  // shares the overflow bucket …
            ("192.0.2.4", 0, false), // … with this one
            ("192.0.2.1", 0, false),
            ("192.0.2.3", 2, true), // the first two are full again and forgotten
            ("192.0.2.3", 2, false),
        ] {
            let answer = rate.take(ip(client), 1, Duration::from_secs(at_s));
            assert_eq!(answer.is_ok(), expected, "{client} at {at_s} s");
        }
        let remembered = rate.buckets.lock().expect("no panic").clients.len();
        assert!(remembered <= 2, "{remembered}");
    }
}

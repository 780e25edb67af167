//! Signatures of webhooks, by which a receiver knows who sent them and that they are new.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// `webhook-signature`: one signature for each key, so that a receiver that has any of them is content.
pub(crate) fn signature(id: &str, timestamp: i64, body: &str, keys: &[Vec<u8>]) -> String {
    let content = format!("{id}.{timestamp}.{body}");
    let sign = |key: &Vec<u8>| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), content.as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    };
    keys.iter().map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the libraries of Standard Webhooks are tested with.
    #[test]
    fn the_published_example() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "{\"test\": 2432232314}");
        let one = signature(id, 1_614_265_330, body, std::slice::from_ref(&key));
        assert_eq!(one, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = signature(id, 1_614_265_330, body, &[b"new".to_vec(), key]);
        assert!(two.starts_with("v1,") && two.ends_with(&format!(" {one}")), "{two}");
        assert_eq!(signature(id, 0, body, &[]), "");
    }
}

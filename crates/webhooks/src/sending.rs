//! One attempt at a delivery: the address is resolved and judged, and then exactly that address is called.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};

use crate::address::inward;

/// How messages are sent.
#[derive(Clone, Copy, Debug)]
pub struct SendingOptions {
    /// Whether addresses inside of networks may be called, and this machine itself.
    pub allow_private: bool,
    /// Whether messages may go without TLS.
    pub allow_http: bool,
    /// How long one attempt may take.
    pub time: Duration,
}

/// What came of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    Heard(StatusCode),
    /// It may be heard another time; after so long, where the other side said so.
    Failed(String, Option<Duration>),
    /// It will not be heard there.
    Refused(String),
}

/// What is sent.
pub struct Parcel<'p> {
    pub id: &'p str,
    /// Seconds since 1970.
    pub timestamp: i64,
    pub signature: &'p str,
    pub body: &'p str,
}

/// The longest pause that the other side may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Reads an address and judges it as far as its text tells.
///
/// # Errors
/// What was expected and what was found.
pub fn target(url: &str, options: &SendingOptions) -> Result<Url, String> {
    let expected = if options.allow_http { "an https: or http: URL" } else { "an https: URL" };
    // Read as the client reads it, so that the two cannot differ about the host.
    let target = Url::parse(url).map_err(|e| format!("expected {expected}, found \"{url}\": {e}"))?;
    match target.scheme() {
        "https" => {}
        "http" if options.allow_http => {}
        other => return Err(format!("expected {expected}, found one with {other}:")),
    }
    if !target.username().is_empty() || target.password().is_some() {
        return Err("expected a URL without a user's name and password in it".into());
    }
    let host = target.host_str().ok_or("expected a URL with a host")?;
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => judged(address, options).map(|()| target),
        Err(_) => Ok(target),
    }
}

fn judged(address: IpAddr, options: &SendingOptions) -> Result<(), String> {
    match inward(address).filter(|_| !options.allow_private) {
        Some(kind) => Err(format!("{address} is not called: it is {kind}")),
        None => Ok(()),
    }
}

/// Makes one attempt.
pub async fn send(url: &str, parcel: &Parcel<'_>, options: &SendingOptions) -> Sent {
    let target = match target(url, options) {
        Ok(target) => target,
        Err(reason) => return Sent::Refused(reason),
    };
    let addresses = match resolved(&target, options).await {
        Ok(addresses) => addresses,
        Err(sent) => return sent,
    };
    match tokio::time::timeout(options.time, post(&target, &addresses, parcel, options)).await {
        Ok(sent) => sent,
        Err(_) => Sent::Failed(format!("no answer within {} s", options.time.as_secs_f64()), None),
    }
}

/// Every address of the host; one that leads inwards spoils all of them.
async fn resolved(target: &Url, options: &SendingOptions) -> Result<Vec<SocketAddr>, Sent> {
    let host = target.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = target.port_or_known_default().unwrap_or(443);
    let found = tokio::time::timeout(options.time, tokio::net::lookup_host((host.as_str(), port))).await;
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(e)) => return Err(Sent::Failed(format!("{host} is not found: {e}"), None)),
        Err(_) => return Err(Sent::Failed(format!("{host} is not found in time"), None)),
    };
    if addresses.is_empty() {
        return Err(Sent::Failed(format!("{host} has no address"), None));
    }
    for address in &addresses {
        judged(address.ip(), options).map_err(Sent::Refused)?;
    }
    Ok(addresses)
}

async fn post(target: &Url, addresses: &[SocketAddr], parcel: &Parcel<'_>, options: &SendingOptions) -> Sent {
    // Where somebody else was first, theirs is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A client for this call alone: it knows no other address of the host, follows nobody and uses no proxy.
    let client = Client::builder()
        .resolve_to_addrs(target.host_str().unwrap_or_default(), addresses)
        .redirect(Policy::none())
        .no_proxy()
        .https_only(!options.allow_http)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("caudal/", env!("CARGO_PKG_VERSION")))
        .build();
    let client = match client {
        Ok(client) => client,
        Err(e) => return Sent::Failed(format!("no client: {}", told(&e)), None),
    };
    let request = client
        .post(target.clone())
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", parcel.id)
        .header("webhook-timestamp", parcel.timestamp)
        .header("webhook-signature", parcel.signature)
        .body(parcel.body.to_owned());
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(e) => return Sent::Failed(told(&e), None),
    };
    let status = answer.status();
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    match status {
        status if status.is_success() => Sent::Heard(status),
        StatusCode::GONE => Sent::Refused(format!("answered {status}")),
        status => {
            let pause = after.map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE));
            Sent::Failed(format!("answered {status}"), pause)
        }
    }
}

/// An error and what it stands on, in one line.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: SendingOptions =
        SendingOptions { allow_private: false, allow_http: false, time: Duration::from_secs(5) };
    const LAX: SendingOptions = SendingOptions { allow_private: true, allow_http: true, ..STRICT };

    #[test]
    fn a_public_https_address_is_a_target() {
        for url in ["https://example.org/done", "https://example.org:8443/a?b=c", "https://8.8.8.8/"] {
            assert!(target(url, &STRICT).is_ok(), "{url}");
        }
        assert!(target("http://127.0.0.1:1/", &LAX).is_ok());
    }

    #[test]
    fn what_leads_inwards_or_says_too_much_is_none_however_it_is_written() {
        for url in [
            "http://example.org/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "https://user:password@example.org/",
            "https://user@example.org/",
            "https://",
            "nothing",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[fd00:ec2::254]/",
            "https://10.0.0.1:8080/",
        ] {
            assert!(target(url, &STRICT).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inwards_is_refused_when_it_is_resolved() {
        let parcel = Parcel { id: "msg_1", timestamp: 1, signature: "v1,", body: "{}" };
        let sent = send("https://localhost/", &parcel, &STRICT).await;
        assert!(matches!(&sent, Sent::Refused(reason) if reason.contains("loopback")), "{sent:?}");
    }
}

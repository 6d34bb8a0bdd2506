//! Who may ask at this moment: requests a second, for each key and for each address.
//!
//! A request with a key or token that holds is counted for that key or owner. All others are counted for the address
//! that they come from, failed attempts to sign in too, and where an address has used up what it has, no credentials are
//! looked at any more: nobody tries keys faster than that. Requests from this machine are not counted by address, and
//! what a proxy says of an address is not believed.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, Request};
use axum::response::Response;
use caudal_core::identity::Credential;
use caudal_core::ports::Clock;
use caudal_core::{Error, ErrorKind};

use super::rate::{Rate, Rates, Standing};
use crate::problem::Problem;
use crate::server::Peer;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Requests a second; without a rate there is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimits {
    pub per_key: Option<Rate>,
    pub per_address: Option<Rate>,
}

/// What was used of the limits of requests. Cheap to clone.
#[derive(Clone, Default)]
pub struct Limits(Option<Arc<Used>>);

struct Used {
    keys: Option<Rates<Credential>>,
    addresses: Option<Rates<IpAddr>>,
    clock: Arc<dyn Clock>,
}

impl Limits {
    /// No limits.
    pub fn none() -> Limits {
        Limits(None)
    }

    pub fn new(limits: RateLimits, clock: Arc<dyn Clock>) -> Limits {
        let (keys, addresses) = (limits.per_key.map(Rates::new), limits.per_address.map(Rates::new));
        Limits(Some(Arc::new(Used { keys, addresses, clock })))
    }

    /// Whether the address of a request may still ask; nothing is counted yet.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub(crate) fn look_at_address<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        self.address(request, Rates::look).map(drop)
    }

    /// Counts a request for the address that it comes from.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub(crate) fn take_of_address<B>(&self, request: &Request<B>) -> Result<Option<Standing>, Problem> {
        self.address(request, Rates::take)
    }

    fn address<B>(
        &self,
        request: &Request<B>,
        ask: impl FnOnce(&Rates<IpAddr>, IpAddr, std::time::Duration) -> Standing,
    ) -> Result<Option<Standing>, Problem> {
        let Some(used) = &self.0 else { return Ok(None) };
        let (Some(rates), Some(address)) = (&used.addresses, address_of(request)) else { return Ok(None) };
        judged(ask(rates, address, used.clock.monotonic()), "from this address")
    }

    /// Counts a request for whoever has signed in.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub(crate) fn take_of_key(&self, credential: &Credential) -> Result<Option<Standing>, Problem> {
        let Some(used) = &self.0 else { return Ok(None) };
        let Some(rates) = &used.keys else { return Ok(None) };
        judged(rates.take(credential.clone(), used.clock.monotonic()), "with this key or token")
    }
}

/// Where a request comes from, unless from this machine. Of IPv6 a network of 64 bits is one address: whoever has one
/// has all of it.
fn address_of<B>(request: &Request<B>) -> Option<IpAddr> {
    let Peer(peer) = request.extensions().get()?;
    match peer.ip().to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(address) => Some(IpAddr::V6((address.to_bits() >> 64 << 64).into())),
        address => Some(address),
    }
}

fn judged(standing: Standing, whose: &str) -> Result<Option<Standing>, Problem> {
    if standing.allowed {
        return Ok(Some(standing));
    }
    let detail = format!("more requests came {whose} than are allowed: {} at once", standing.limit);
    let wait = standing.wait.ceil().max(1.0) as u32;
    let error = Error::new(ErrorKind::TooManyRequests, detail).hint("wait as long as Retry-After says");
    let problem = Problem::from(error.retry_after(wait));
    Err(headers(&standing)
        .into_iter()
        .fold(problem, |problem, (name, value)| problem.with_header(name, value)))
}

/// Tells how a limit stands, in the headers of an answer.
pub(crate) fn tell(response: &mut Response, standing: Option<Standing>) {
    let told = standing.iter().flat_map(headers);
    for (name, value) in told {
        response.headers_mut().insert(name, value);
    }
}

fn headers(standing: &Standing) -> [(HeaderName, HeaderValue); 3] {
    [
        (LIMIT, standing.limit.into()),
        (REMAINING, standing.remaining.into()),
        (RESET, (standing.reset.max(0.0).ceil() as u64).into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Option<IpAddr> {
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer(format!("{address}:9").parse().expect("an address")));
        address_of(&request)
    }

    #[test]
    fn this_machine_is_not_counted_and_a_network_of_ipv6_is_one_address() {
        for own in ["127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"] {
            assert_eq!(from(own), None, "{own}");
        }
        assert_eq!(from("[2001:db8:1:2::1]"), from("[2001:db8:1:2:ffff::9]"));
        assert_ne!(from("[2001:db8:1:2::1]"), from("[2001:db8:1:3::1]"));
        assert_eq!(from("[::ffff:192.0.2.1]"), from("192.0.2.1"));
        assert_ne!(from("192.0.2.1"), from("192.0.2.2"));
    }
}

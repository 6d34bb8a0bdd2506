//! Two hundred submissions to the stand-in for EMR with Amazon's own SDK for Rust: `emr_sdk http://127.0.0.1:PORT`.
//!
//! Half of the calls may be throttled and replies lost: the program comes back as a launcher has to, and what was
//! submitted is there once and ends as it should.

mod clusters;
mod serverless;

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use aws_sdk_emr::error::{ProvideErrorMetadata, SdkError};

type Failure = Box<dyn Error + Send + Sync>;

/// Submissions to each service; every seventh is to fail.
const SUBMISSIONS: usize = 100;

/// How often an end is looked for, and for how long in all.
const PAUSE: Duration = Duration::from_millis(200);
const LOOKS: usize = 600;

/// What came of a call that did not succeed.
enum Missed {
    /// The service asks for fewer calls, and has done nothing.
    Throttled,
    /// There was no answer: it may have been done.
    Lost,
    Refused(Failure),
}

fn missed<E, R>(error: SdkError<E, R>) -> Missed
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    let code = error.as_service_error().and_then(|e| e.code());
    match (code, &error) {
        (Some("ThrottlingException"), _) => Missed::Throttled,
        (_, SdkError::ServiceError(_)) => Missed::Refused(Box::new(error)),
        _ => Missed::Lost,
    }
}

/// The answer to a call that may be made again whatever it does.
macro_rules! again {
    ($call:expr) => {
        loop {
            match $call.send().await.map_err($crate::missed) {
                Ok(answer) => break answer,
                Err($crate::Missed::Refused(error)) => return Err(error),
                Err($crate::Missed::Throttled | $crate::Missed::Lost) => {}
            }
        }
    };
}
use again;

/// A client of one of the SDK's crates, which share their builders' names and not their types. It tries nothing again by itself.
macro_rules! client {
    ($sdk:ident, $url:expr) => {{
        use $sdk::config::{BehaviorVersion, Config, Credentials, Region, retry::RetryConfig};
        $sdk::Client::from_conf(
            Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .endpoint_url($url)
                .credentials_provider(Credentials::new("test", "test", None, None, "check"))
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .retry_config(RetryConfig::disabled())
                .build(),
        )
    }};
}
use client;

/// Whether the submission of this number is to fail.
fn fails(number: usize) -> bool {
    number.is_multiple_of(7)
}

/// What the shell that stands for spark-submit is to do.
fn script(number: usize) -> &'static str {
    if fails(number) { "exit 1" } else { "exit 0" }
}

fn expect<T: PartialEq + Debug>(found: T, expected: T, what: &str) -> Result<(), Failure> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: expected {expected:?}, found {found:?}").into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let url = std::env::args().nth(1).ok_or("usage: emr_sdk URL")?;
    clusters::check(&url).await?;
    serverless::check(&url).await?;
    println!(
        "aws-sdk-emr and aws-sdk-emrserverless: {} submissions, each there once, 0 wrong final states",
        2 * SUBMISSIONS
    );
    Ok(())
}

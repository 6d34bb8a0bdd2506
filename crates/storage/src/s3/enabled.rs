//! S3 and what speaks its protocol, over TLS by ring and the certificates that this machine trusts.

use std::sync::Arc;
use std::time::Duration;

use caudal_core::{Error, ErrorKind, Result};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::signer::{HeaderName, Method, SignedUrlOptions, Signer};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::S3Location;

const CONTENT_LENGTH: HeaderName = HeaderName::from_static("content-length");

/// How often, and for how long, one request is tried again after an answer that may be another one next time.
/// Whoever asked decides about more than that.
const RETRIES: usize = 8;
const RETRY_FOR: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_millis(25);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The longest that a connection may take to be made, and a request to say the next bit of its answer.
const CONNECT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(30);
/// The longest that one request may take in all.
const REQUEST: Duration = Duration::from_secs(300);

pub fn open(location: &S3Location) -> Result<Arc<dyn ObjectStore>> {
    let store = build(location)?;
    Ok(match location.prefix.as_str() {
        "" => Arc::new(store),
        prefix => Arc::new(PrefixStore::new(store, prefix)),
    })
}

/// Gives addresses of objects that others may use for a while, without credentials of their own.
pub struct Presigner {
    store: AmazonS3,
    prefix: Path,
}

impl Presigner {
    pub fn new(location: &S3Location) -> Result<Presigner> {
        Ok(Presigner { store: build(location)?, prefix: Path::from(location.prefix.as_str()) })
    }

    /// An address to put an object of exactly `size` bytes to.
    pub async fn put(&self, key: &Path, size: u64, lasts: Duration) -> object_store::Result<String> {
        let options = SignedUrlOptions::new().with_signed_header(CONTENT_LENGTH, size.into());
        Ok(self.store.signed_url_opts(Method::PUT, &self.whole(key), lasts, &options).await?.into())
    }

    /// An address to get an object from, as a file of this media type and name.
    pub async fn get(
        &self,
        key: &Path,
        media_type: &str,
        name: &str,
        lasts: Duration,
    ) -> object_store::Result<String> {
        let disposition = format!("attachment; filename=\"{name}\"");
        let described =
            [("response-content-type", media_type), ("response-content-disposition", &disposition)];
        let options = SignedUrlOptions::new().with_query(described);
        Ok(self.store.signed_url_opts(Method::GET, &self.whole(key), lasts, &options).await?.into())
    }

    fn whole(&self, key: &Path) -> Path {
        self.prefix.parts().chain(key.parts()).collect()
    }
}

fn build(location: &S3Location) -> Result<AmazonS3> {
    // Where somebody else was first, theirs is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client =
        ClientOptions::new().with_connect_timeout(CONNECT).with_read_timeout(SILENCE).with_timeout(REQUEST);
    let mut builder = AmazonS3Builder::new().with_client_options(client);
    for (name, value) in &location.variables {
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = &location.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if location.allow_http {
        builder = builder.with_allow_http(true);
    }
    let backoff = BackoffConfig { init_backoff: FIRST_WAIT, max_backoff: LONGEST_WAIT, base: 2.0 };
    builder
        .with_bucket_name(&location.bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_FOR, backoff })
        .build()
        .map_err(|e| {
            let detail = format!("the bucket {} cannot be used: {e}", location.uri(""));
            Error::new(ErrorKind::InvalidRequest, detail)
                .hint("check AWS_REGION, AWS_ENDPOINT_URL and the settings under [storage]")
        })
}

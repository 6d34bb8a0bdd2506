//! TLS by rustls: a certificate and its key from two files, which are read again when they change.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use caudal_core::{Error, ErrorKind, Result};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take to agree on a connection.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Where certificate and key are, as PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, and those that lead from it to one that clients know.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What a server answers with over TLS 1.2 and 1.3.
pub struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// The files as they were last read, whether they could be used or not.
    seen: Pair,
}

#[derive(Clone, PartialEq, Eq)]
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// # Errors
    /// `InvalidRequest` where a file cannot be read, or the two do not belong together.
    pub fn load(files: TlsFiles) -> Result<Tls> {
        let seen = files.read()?;
        let config = seen.config()?;
        Ok(Tls { files, current: Mutex::new(Current { config, seen }) })
    }

    /// Reads the files again; whether new connections get something else from now on. What cannot be used changes
    /// nothing: a certificate may be there a moment before its key.
    ///
    /// # Errors
    /// As [`load`](Self::load), once for each content of the files.
    pub fn reload(&self) -> Result<bool> {
        let read = self.files.read()?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if read == current.seen {
            return Ok(false);
        }
        current.seen = read.clone();
        current.config = read.config()?;
        Ok(true)
    }

    /// Looks at the files from time to time, and when `asked` says so, for as long as it is polled.
    pub async fn watch(&self, mut asked: impl AsyncFnMut()) {
        loop {
            // Whichever comes first; both mean the same.
            let _ = tokio::time::timeout(LOOK, asked()).await;
            match self.reload() {
                Ok(true) => tracing::info!("the certificate was read again and is used from now on"),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(cause = error.cause, "the former certificate stays in use: {error}")
                }
            }
        }
    }

    /// Agrees with a client on a connection.
    ///
    /// # Errors
    /// Where the client does not speak TLS, breaks off or takes too long.
    pub(crate) async fn accept<S>(&self, stream: S) -> std::io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.current.lock().unwrap_or_else(PoisonError::into_inner).config.clone();
        let agreed = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await;
        agreed.unwrap_or_else(|late| Err(std::io::Error::new(std::io::ErrorKind::TimedOut, late)))
    }
}

impl TlsFiles {
    fn read(&self) -> Result<Pair> {
        let read = |path: &PathBuf, what: &str| {
            std::fs::read(path).map_err(|e| {
                let detail = format!("the {what} {} cannot be read: {e}", path.display());
                Error::new(ErrorKind::InvalidRequest, detail)
                    .hint("--tls-cert and --tls-key name PEM files that this process may read")
            })
        };
        Ok(Pair { certificate: read(&self.certificate, "certificate")?, key: read(&self.key, "key")? })
    }
}

impl Pair {
    fn config(&self) -> Result<Arc<ServerConfig>> {
        let unusable = |what: &str, hint: &str| {
            Error::new(ErrorKind::InvalidRequest, format!("TLS cannot be used: {what}")).hint(hint)
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| {
                unusable("the certificate is no PEM", "it begins with a line BEGIN CERTIFICATE").cause(e)
            })?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| {
            // What a parser says of a key stays out of the log too.
            unusable("the key is no PEM", "it begins with a line such as BEGIN PRIVATE KEY")
        })?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|e| unusable("this build has no TLS 1.2 and 1.3", "build it with ring").cause(e))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|e| unusable("certificate and key do not belong together", "make them anew").cause(e))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

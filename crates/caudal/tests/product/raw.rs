//! HTTP by hand over a socket: what a well-behaved client would never send, and TLS with certificates of our own.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use serde_json::Value;

use crate::support::{Place, Server};

/// Longer than anything that a test waits for: what takes so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a server.
pub fn connect(server: &Server) -> TcpStream {
    let address = server.url.split_once("://").expect("a URL").1;
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

/// Sends bytes as they are, and reads until the server ends the connection. A server that has seen enough may end it
/// before all is sent.
pub fn exchange(server: &Server, bytes: impl AsRef<[u8]>) -> Raw {
    let mut stream = connect(server);
    let _ = stream.write_all(bytes.as_ref());
    Raw::read(stream)
}

/// An answer as it came, up to the end of the connection.
pub struct Raw {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// Whether the server ended the connection, rather than our patience.
    pub ended: bool,
}

impl Raw {
    pub fn read(mut stream: impl Read) -> Raw {
        let mut all = Vec::new();
        let mut buffer = [0; 64 * 1024];
        let ended = loop {
            match stream.read(&mut buffer) {
                Ok(0) => break true,
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                // A connection that is reset has ended too.
                Err(error) => break !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        };
        let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(all.len());
        let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Raw { status, head, body: all.split_off((end + 4).min(all.len())), ended }
    }

    /// Asserts that this is a whole problem of a kind and nothing else, and returns it.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{}\n{text}", self.head);
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {text}"));
        let kind = problem["type"].as_str().expect("a type");
        assert!(kind.ends_with(code), "expected {code}, found {kind}");
        problem
    }
}

/// A certificate for `localhost` and 127.0.0.1, signed by nobody else.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// Writes a new one to `NAME.pem` and `NAME.key`.
    pub fn new(place: &Place, name: &str) -> Certificate {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        Certificate {
            certificate: place.file(&format!("{name}.pem"), made.cert.pem()),
            key: place.file(&format!("{name}.key"), made.signing_key.serialize_pem()),
            der: made.cert.der().clone(),
        }
    }

    pub fn arguments(&self) -> [&str; 4] {
        let text = |path: &'_ Path| path.to_str().expect("UTF-8").to_owned();
        let [certificate, key] = [text(&self.certificate), text(&self.key)];
        ["--tls-cert", certificate.leak(), "--tls-key", key.leak()]
    }

    /// Connects as a client that trusts this certificate alone.
    pub fn connect(
        &self,
        server: &Server,
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let mut session = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut socket = connect(server);
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(session, socket))
    }

    /// One request over TLS.
    pub fn get(&self, server: &Server, path: &str, headers: &str) -> std::io::Result<Raw> {
        let mut stream = self.connect(server, rustls::ALL_VERSIONS)?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes())?;
        Ok(Raw::read(stream))
    }
}

/// A connection that is kept for many requests.
pub struct Kept {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Kept {
    pub fn to(server: &Server) -> Kept {
        let stream = connect(server);
        stream.set_nodelay(true).expect("a socket");
        Kept { stream, ahead: Vec::new() }
    }

    pub fn post(&mut self, path: &str, media_type: &str, body: &[u8]) -> Raw {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.stream.write_all(&[head.as_bytes(), body].concat()).expect("sent");
        self.read()
    }

    fn read(&mut self) -> Raw {
        let end = self.until(|bytes| bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4));
        let head = String::from_utf8_lossy(&self.ahead[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let length: usize = length.unwrap_or_else(|| panic!("no length: {head}"));
        self.until(|bytes| (bytes.len() >= end + length).then_some(()));
        let rest = self.ahead.split_off(end + length);
        let body = std::mem::replace(&mut self.ahead, rest).split_off(end);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Raw { status, head, body, ended: false }
    }

    fn until<T>(&mut self, there: impl Fn(&[u8]) -> Option<T>) -> T {
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(found) = there(&self.ahead) {
                return found;
            }
            let count = self.stream.read(&mut buffer).expect("an answer");
            assert!(count > 0, "the connection ended: {}", String::from_utf8_lossy(&self.ahead));
            self.ahead.extend_from_slice(&buffer[..count]);
        }
    }
}

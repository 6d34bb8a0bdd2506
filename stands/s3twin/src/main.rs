//! An S3 server for tests, on loopback only: a folder behind S3's protocol, conditional writes that hold, faults on demand.

mod faults;
mod server;

use std::path::PathBuf;

use clap::Parser;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::faults::Faults;
use crate::server::Twin;

/// Serves buckets, which are folders below DIR, on 127.0.0.1. Who signs with the key `test` and the secret `testtest` may do all.
#[derive(Parser)]
struct Arguments {
    /// The folder of the buckets.
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Where to listen; 0 takes a free port, which is printed.
    #[arg(long, default_value = "0")]
    port: u16,
    /// A bucket that is made where it is not there; repeat it for more.
    #[arg(long = "bucket", value_name = "NAME")]
    buckets: Vec<String>,
    /// Shares of requests that fail, such as slow=0.05,dropped_after=0.02; see faults.rs. They can be changed while it runs.
    #[arg(long, default_value = "")]
    faults: Faults,
    /// The seed of what fails when.
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Takes the lock of each key away, so that several writers of one key may all succeed.
    #[arg(long)]
    no_conditional_writes: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    for bucket in &arguments.buckets {
        std::fs::create_dir_all(arguments.root.join(bucket))?;
    }
    let twin =
        Twin::new(&arguments.root, arguments.faults, arguments.seed, !arguments.no_conditional_writes)?;
    let listener = TcpListener::bind(("127.0.0.1", arguments.port)).await?;
    println!("s3twin listens on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let twin = twin.clone();
        let service = hyper::service::service_fn(move |request| {
            let twin = twin.clone();
            async move { twin.answer(request).await }
        });
        tokio::spawn(async move {
            // A connection that ends badly is one of the faults.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

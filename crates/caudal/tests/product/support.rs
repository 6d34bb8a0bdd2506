//! Runs the binary and talks to it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

/// The workspace's root. Asked for when the tests run: clones that share a target folder share what was built.
pub fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests"))
        .join("../..")
        .canonicalize()
        .expect("the workspace is here")
}

pub fn example(name: &str) -> PathBuf {
    root().join("examples").join(name)
}

/// A folder of its own for one test: inputs beside the bucket.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { dir: TempDir::new().expect("a temporary folder") }
    }

    pub fn bucket(&self) -> PathBuf {
        self.dir.path().join("bucket")
    }

    /// Writes an input file.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the place")).expect("a folder");
        std::fs::write(&path, content).expect("the input can be written");
        path
    }

    /// `caudal process` with this place's bucket.
    pub fn process(&self, arguments: &[&str]) -> Run {
        let mut command = binary();
        command.arg("process").args(arguments).arg("--storage").arg(self.bucket());
        Run(command.current_dir(self.dir.path()).output().expect("the binary runs"))
    }

    /// The final response of `caudal process FILE … --format json`.
    pub fn response(&self, file: &Path, arguments: &[&str]) -> Value {
        let mut all = vec![file.to_str().expect("a UTF-8 path"), "--format", "json"];
        all.extend(arguments);
        self.process(&all).json()
    }

    pub fn server(&self) -> Server {
        Server::start(&self.bucket(), &["--allow", self.dir.path().to_str().expect("a UTF-8 path")])
    }
}

pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_caudal"));
    command.env_remove("CAUDAL_LOG").stdin(Stdio::null());
    // What one process leaves is taken over by the next without a long wait.
    command.env("CAUDAL__ORCHESTRATION__LEASE_SECONDS", "1");
    command
}

/// A finished run of the binary.
pub struct Run(pub Output);

impl Run {
    pub fn code(&self) -> i32 {
        self.0.status.code().expect("the binary was not killed")
    }

    pub fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).expect("UTF-8 on standard output")
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).expect("UTF-8 on standard error")
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.code(), 0, "{}", self.stderr());
        serde_json::from_str(&self.stdout()).expect("JSON on standard output")
    }

    /// Asserts that the run failed with this code and said this.
    pub fn fails(&self, code: i32, said: &str) {
        let stderr = self.stderr();
        assert_eq!(self.code(), code, "{stderr}");
        assert!(stderr.contains(said), "expected {said:?} in:\n{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert_eq!(self.stdout(), "", "results go to standard output, and there are none");
    }
}

/// A running `caudal serve`; killed when it goes out of scope.
pub struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
    pub url: String,
}

impl Server {
    pub fn start(bucket: &Path, arguments: &[&str]) -> Server {
        Server::start_with(bucket, arguments, &[])
    }

    /// With more in its environment.
    pub fn start_with(bucket: &Path, arguments: &[&str], variables: &[(&str, PathBuf)]) -> Server {
        let mut child = binary()
            .args(["serve", "--storage"])
            .arg(bucket)
            .args(if arguments.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] })
            .args(arguments)
            .envs(variables.iter().cloned())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut said = Vec::new();
        let url = loop {
            let line = lines.next().unwrap_or_else(|| panic!("the server ended: {said:?}")).expect("UTF-8");
            match line.split_once("listens on ") {
                Some((_, url)) => break url.to_owned(),
                None => said.push(line),
            }
        };
        // Read on, so that the server never waits for its log.
        let log = Arc::new(Mutex::new(said.join("\n")));
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = kept.lock().expect("nobody panics with the log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        Server { child, log, url }
    }

    /// The same server under another address.
    pub fn named(mut self, url: String) -> Server {
        self.url = url;
        self
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], None)
    }

    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request("POST", path, &[("content-type", "application/json")], Some(body.as_ref()))
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut builder = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let answer = match body {
            Some(body) => agent.run(builder.body(body).expect("a request")),
            None => agent.run(builder.body(()).expect("a request")),
        };
        let mut answer = answer.unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        let headers = answer.headers().clone();
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body");
        Answer { status, headers, body }
    }

    /// Whether the server answers a new connection at all.
    pub fn tries(&self, path: &str) -> bool {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        agent.get(format!("{}{path}", self.url)).call().is_ok()
    }

    /// Waits until a job has reached a final state.
    pub fn wait_for(&self, job: &str) -> Value {
        for _ in 0..1200 {
            let status = self.get(&format!("/jobs/{job}")).json();
            if ["completed", "failed", "cancelled"].iter().any(|s| status["status"] == **s) {
                return status;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("job {job} did not end within a minute");
    }

    /// What the server has said on standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("nobody panics with the log").clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process at once, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("the server ends");
    }

    /// Waits for the process to end by itself.
    pub fn wait(mut self) -> std::process::ExitStatus {
        self.child.wait().expect("the server ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `kill` or `wait`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP answer.
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().expect("a header of text"))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// Asserts that this is problem+json of a kind, and returns it.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let problem = self.json();
        let kind = problem["type"].as_str().expect("a type");
        assert!(kind.ends_with(code), "expected {code}, found {kind}");
        assert_eq!(problem["status"], status);
        problem
    }
}

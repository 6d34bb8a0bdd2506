//! Applications as `spark-submit` processes of this machine: on it, on a standalone cluster, YARN or Kubernetes.
//!
//! Each is guarded, so that no application outlives whoever follows it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::request::SparkConfig;
use caudal_core::spark::SparkSurvey;
use caudal_core::{Error, ErrorKind, Result};

use crate::archive;
use crate::events::Event;
use crate::guard;
use crate::installation::{Installation, Places};
use crate::jar;
use crate::launcher::{Failure, Launcher, Phase, Status, Submission};
use crate::sizing::{Cluster, Machine, Sizing};

/// How long a master may take to accept a connection.
const MASTER_ANSWERS: Duration = Duration::from_secs(5);

/// Bytes of a log that are kept.
const LOG_KEPT: u64 = 4 << 20;

/// Runs `spark-submit`.
pub struct Submit {
    places: Places,
    master: String,
    machine: Machine,
    /// Seen once it was found; what is missing is looked for again.
    found: Mutex<Option<Installation>>,
    applications: Mutex<HashMap<String, Arc<Application>>>,
}

struct Application {
    /// Closing it ends the application.
    leash: Mutex<Option<ChildStdin>>,
    status: Mutex<Status>,
    folder: PathBuf,
}

impl Submit {
    /// `master` as Spark names it: `local[*]`, `spark://host:7077`, `yarn`, `k8s://https://host`.
    pub fn new(places: Places, master: String, machine: Machine) -> Submit {
        Submit { places, master, machine, found: Mutex::default(), applications: Mutex::default() }
    }

    async fn installation(&self) -> Result<Installation> {
        if let Some(found) = locked(&self.found).clone() {
            return Ok(found);
        }
        let places = self.places.clone();
        let found =
            tokio::task::spawn_blocking(move || Installation::find(&places)).await.map_err(stopped)??;
        *locked(&self.found) = Some(found.clone());
        Ok(found)
    }

    fn application(&self, name: &str) -> Result<Arc<Application>> {
        let known = locked(&self.applications).get(name).cloned();
        known
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no application {name} was started here")))
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.places.folder.join("work").join(name)
    }

    /// Makes the working folder, and takes away those of attempts before this one, which died with their process.
    fn make_folder(&self, name: &str) -> std::io::Result<PathBuf> {
        let folder = self.folder(name);
        if let (Some((stem, _)), Ok(others)) =
            (name.rsplit_once('-'), fs::read_dir(self.places.folder.join("work")))
        {
            let older =
                others.flatten().filter(|other| other.file_name().to_string_lossy().starts_with(stem));
            older.for_each(|other| drop(fs::remove_dir_all(other.path())));
        }
        fs::create_dir_all(folder.join("scratch"))?;
        Ok(folder)
    }

    fn command(
        &self,
        spark: &Installation,
        jar: &Path,
        folder: &Path,
        sizing: &Sizing,
        name: &str,
    ) -> Command {
        let kept = archive::option(&self.places.folder, spark).map(|option| format!(" {option}"));
        let java_options = format!("{}{}", sizing.java_options, kept.unwrap_or_default());
        let mut command = guard::command(spark.spark_submit());
        command.args(["--master", &sizing.master, "--name", name, "--class", "caudal.Job"]);
        command.args(["--driver-memory", &sizing.driver_memory, "--driver-java-options", &java_options]);
        for (key, value) in &sizing.conf {
            command.arg("--conf").arg(format!("{key}={value}"));
        }
        command.arg(jar).arg(folder.join("spec.json"));
        command.env("SPARK_HOME", &spark.home).env("SPARK_LOCAL_DIRS", folder.join("scratch"));
        if let Some(home) = spark.java_home() {
            command.env("JAVA_HOME", home);
        }
        if Cluster::of(&sizing.master) == Cluster::Local {
            command.env("SPARK_LOCAL_IP", "127.0.0.1");
        }
        command
    }

    fn spawn(&self, spark: &Installation, submission: &Submission) -> Result<Child> {
        let jar = jar::unpacked(&self.places.folder)?;
        let unwritable = |e: std::io::Error| {
            let detail = format!(
                "the working folder of Spark cannot be made below {}: {e}",
                self.places.folder.display()
            );
            Error::new(ErrorKind::StorageUnavailable, detail)
                .hint("name another one with spark.folder in the settings")
        };
        let folder = self.make_folder(&submission.name).map_err(unwritable)?;
        let spec = serde_json::to_vec_pretty(&submission.spec)
            .map_err(|e| Error::new(ErrorKind::Internal, "the job cannot be described").cause(e))?;
        fs::write(folder.join("spec.json"), spec).map_err(unwritable)?;
        let log = File::create(folder.join("driver.log")).map_err(unwritable)?;
        let mut command = self.command(spark, &jar, &folder, &submission.sizing, &submission.name);
        command.stdout(Stdio::piped()).stderr(log);
        command.spawn().map_err(|e| {
            Error::new(ErrorKind::UnavailableEngine, format!("spark-submit cannot be started: {e}"))
        })
    }
}

#[async_trait]
impl Launcher for Submit {
    async fn survey(&self, asked: Option<&SparkConfig>) -> Result<SparkSurvey> {
        let found = self.installation().await?;
        let sizing = Sizing::of(&self.master, self.machine, asked, 0);
        Ok(SparkSurvey {
            name: format!("spark {} on {}", found.version, sizing.master),
            cores: sizing.cores,
            local: Cluster::of(&self.master) == Cluster::Local,
        })
    }

    async fn size(&self, asked: Option<&SparkConfig>, bytes: u64) -> Result<Sizing> {
        Ok(Sizing::of(&self.master, self.machine, asked, bytes))
    }

    async fn start(&self, submission: &Submission) -> Result<()> {
        let spark = self.installation().await?;
        let master = submission.sizing.master.clone();
        tokio::task::spawn_blocking(move || check_answers(&master)).await.map_err(stopped)??;
        let mut applications = locked(&self.applications);
        if applications.contains_key(&submission.name) {
            return Ok(());
        }
        let mut child = self.spawn(&spark, submission)?;
        let application = Arc::new(Application {
            leash: Mutex::new(child.stdin.take()),
            status: Mutex::new(Status { phase: Phase::Running, progress: None }),
            folder: self.folder(&submission.name),
        });
        applications.insert(submission.name.clone(), application.clone());
        // A thread and not a task: it waits for as long as the application lives.
        std::thread::spawn(move || application.watch(child));
        Ok(())
    }

    async fn status(&self, name: &str) -> Result<Status> {
        Ok(locked(&self.application(name)?.status).clone())
    }

    async fn cancel(&self, name: &str) -> Result<()> {
        *locked(&self.application(name)?.leash) = None;
        Ok(())
    }

    async fn log(&self, name: &str) -> Vec<u8> {
        tail(&self.folder(name).join("driver.log")).unwrap_or_default()
    }

    async fn forget(&self, name: &str) {
        locked(&self.applications).remove(name);
        // What cannot be taken away now goes with the next attempt, or stays for whoever looks after the disk.
        if let Err(error) = fs::remove_dir_all(self.folder(name)) {
            tracing::debug!(%error, name, "the working folder stays");
        }
    }
}

impl Application {
    /// Reads what the application says until it ends.
    fn watch(&self, mut child: Child) {
        let mut failure = Failure::default();
        let mut log = File::options().append(true).open(self.folder.join("driver.log")).ok();
        let said = child.stdout.take().map(BufReader::new);
        for line in said.into_iter().flat_map(|said| said.split(b'\n')).map_while(std::io::Result::ok) {
            let line = String::from_utf8_lossy(&line);
            match Event::of(&line) {
                Some(Event::Progress(progress)) => locked(&self.status).progress = Some(progress),
                Some(Event::Fault(fault)) => failure.fault = Some(fault),
                Some(Event::ExecutorLost { reason }) => failure.lost.push(reason),
                Some(Event::Other) => {}
                // A disk that is full takes no log either; the error of the application says so.
                None => drop(log.as_mut().map(|log| writeln!(log, "{line}"))),
            }
        }
        failure.code = child.wait().ok().map(code_of);
        *locked(&self.leash) = None;
        locked(&self.status).phase = match failure.code {
            Some(0) => Phase::Succeeded,
            _ => Phase::Failed(failure),
        };
    }
}

/// As a shell has it: 128 and the number of the signal.
fn code_of(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// A standalone master that is not there is found in seconds here, and by Spark after a minute.
fn check_answers(master: &str) -> Result<()> {
    let Some(hosts) = master.strip_prefix("spark://") else { return Ok(()) };
    let answers = |host: &str| {
        let addresses = host.to_socket_addrs().ok().into_iter().flatten();
        addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, MASTER_ANSWERS).is_ok())
    };
    if hosts.split(',').any(answers) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::UnavailableEngine, format!("the Spark master {master} does not answer"))
        .hint("check its address (spark.master, --master) and that it runs"))
}

/// The end of a file.
fn tail(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(LOG_KEPT)))?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(content)
}

fn stopped(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, "looking for Spark stopped").cause(error)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Programs that do not outlive this process.
//!
//! Each runs in a process group of its own below a small shell, which ends the whole group when this process closes
//! its end of a pipe, also by dying.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

/// Waits for the program, and for the end of standard input, whichever comes first.
const GUARD: &str = include_str!("guard.sh");

/// A program that ends when its standard input is closed.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", GUARD, "caudal-guard"]).arg(program);
    command.stdin(Stdio::piped()).process_group(0);
    command
}

/// Runs such a command to its own end.
pub(crate) fn run(command: &mut Command) -> io::Result<Output> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Waiting would close what the child still holds.
    let leash = child.stdin.take();
    let output = child.wait_with_output();
    drop(leash);
    output
}

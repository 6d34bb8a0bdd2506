//! What this process has done and is doing, in numbers for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64
    }
}

/// Counted since the process began.
#[derive(Default)]
pub struct Counters {
    pub accepted: Counter,
    pub refused: Counter,
    pub completed: Counter,
    pub failed: Counter,
    pub cancelled: Counter,
    pub parked: Counter,
    pub retried: Counter,
    pub taken_over: Counter,
    pub handed_over: Counter,
    pub left: Counter,
    pub falls: Counter,
    pub beats_failed: Counter,
    messages: [Counter; 4],
    /// Seconds after the process began at which each actor handled its last message.
    last_message: [AtomicU64; 4],
}

/// The actors, in the order in which a job passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Validation,
    JobManager,
    Analysis,
    Response,
}

const ROOMS: [&str; 4] =
    ["actor=\"validation\"", "actor=\"job_manager\"", "actor=\"analysis\"", "actor=\"response\""];

/// Places and who has them, at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Occupancy {
    pub admitted: usize,
    pub running: usize,
    pub admitted_limit: usize,
    pub running_limit: usize,
}

/// One metric and its values, each with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub name: &'static str,
    pub help: &'static str,
    /// Whether it only grows.
    pub is_counter: bool,
    pub values: Vec<(&'static str, f64)>,
}

impl Counters {
    /// Everything that is counted, and the state of the queue.
    pub fn figures(&self, now: Occupancy) -> Vec<Figure> {
        let counter = |name, help, values| Figure { name, help, is_counter: true, values };
        let gauge = |name, help, values| Figure { name, help, is_counter: false, values };
        vec![
            gauge(
                "caudal_jobs",
                "Jobs that this process has in hand.",
                vec![
                    ("state=\"waiting\"", now.admitted.saturating_sub(now.running) as f64),
                    ("state=\"running\"", now.running as f64),
                ],
            ),
            gauge(
                "caudal_jobs_limit",
                "Places for jobs: in all, and for those whose stages run.",
                vec![
                    ("of=\"admitted\"", now.admitted_limit as f64),
                    ("of=\"running\"", now.running_limit as f64),
                ],
            ),
            counter(
                "caudal_submissions_total",
                "Requests to take a job in.",
                vec![
                    ("outcome=\"accepted\"", self.accepted.read()),
                    ("outcome=\"refused\"", self.refused.read()),
                ],
            ),
            counter("caudal_jobs_ended_total", "Jobs that ended here.", self.ended()),
            counter("caudal_attempts_total", "Attempts at jobs after the first, by cause.", self.attempts()),
            counter("caudal_jobs_left_total", "Jobs left to another instance.", vec![("", self.left.read())]),
            counter("caudal_stage_panics_total", "Stages that fell.", vec![("", self.falls.read())]),
            counter(
                "caudal_heartbeats_failed_total",
                "Signs of life that could not be written.",
                vec![("", self.beats_failed.read())],
            ),
            counter("caudal_messages_total", "Messages that the actors handled.", self.messages()),
            gauge(
                "caudal_last_message_seconds",
                "Seconds after the process began at which an actor began its last message.",
                self.last_messages(),
            ),
        ]
    }

    fn ended(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("state=\"completed\"", self.completed.read()),
            ("state=\"failed\"", self.failed.read()),
            ("state=\"cancelled\"", self.cancelled.read()),
            ("state=\"parked\"", self.parked.read()),
        ]
    }

    fn attempts(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("cause=\"retried\"", self.retried.read()),
            ("cause=\"abandoned\"", self.taken_over.read()),
            ("cause=\"handed_over\"", self.handed_over.read()),
        ]
    }

    /// Counts a message that an actor begins to handle, at a moment of the process's own clock.
    pub fn message(&self, room: Room, at: Duration) {
        self.messages[room as usize].add();
        self.last_message[room as usize].store(at.as_secs(), Ordering::Relaxed);
    }

    fn messages(&self) -> Vec<(&'static str, f64)> {
        ROOMS.into_iter().zip(&self.messages).map(|(label, count)| (label, count.read())).collect()
    }

    fn last_messages(&self) -> Vec<(&'static str, f64)> {
        let seconds = self.last_message.iter().map(|at| at.load(Ordering::Relaxed) as f64);
        ROOMS.into_iter().zip(seconds).collect()
    }
}

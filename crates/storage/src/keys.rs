//! The only place that builds object keys: the storage layout of the contract.

use caudal_core::JobId;
use caudal_core::request::OutputFormat;
use chrono::{DateTime, Utc};
use object_store::path::Path;
use uuid::Uuid;

/// Larger than any millisecond of this age, so that newer keys sort first.
const LATEST_MILLISECOND: i64 = 9_999_999_999_999;

pub fn normalized_folder(job: JobId) -> Path {
    Path::from(format!("normalized_data/{job}"))
}

pub fn normalized_json(job: JobId) -> Path {
    Path::from(format!("normalized_data/{job}/data.json"))
}

pub fn normalized_manifest(job: JobId) -> Path {
    Path::from(format!("normalized_data/{job}/manifest.json"))
}

pub fn normalized_part(job: JobId, number: usize, extension: &str) -> Path {
    Path::from(format!("normalized_data/{job}/part-{number:05}.{extension}"))
}

/// The extension of a part; rows of JSON are NDJSON.
pub fn part_extension(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::Json => "ndjson",
        OutputFormat::Parquet => "parquet",
        OutputFormat::Arrow => "arrow",
        OutputFormat::Csv => "csv",
    }
}

pub fn normalization_result(job: JobId) -> Path {
    Path::from(format!("gpu_results/{job}/results.json"))
}

pub fn pipeline_results(job: JobId) -> Path {
    Path::from(format!("spark_results/{job}/results.json"))
}

pub fn final_results(job: JobId) -> Path {
    Path::from(format!("spark_results/{job}/final_results.json"))
}

pub fn analysis(job: JobId) -> Path {
    Path::from(format!("analysis_results/{job}/analysis.json"))
}

/// Below which each job has a folder of results.
pub fn output_roots() -> Vec<Path> {
    ["normalized_data", "gpu_results", "spark_results", "analysis_results", "logs/spark"]
        .into_iter()
        .map(Path::from)
        .collect()
}

/// The folders of a job's results.
pub fn output_folders(job: JobId) -> Vec<Path> {
    output_roots().into_iter().map(|root| root.join(job.to_string())).collect()
}

pub fn jobs_folder() -> Path {
    Path::from("jobs")
}

pub fn job_folder(job: JobId) -> Path {
    jobs_folder().join(job.to_string())
}

pub fn journal_folder(job: JobId) -> Path {
    job_folder(job).join("journal")
}

pub fn request(job: JobId) -> Path {
    Path::from(format!("jobs/{job}/request.json"))
}

pub fn inline_data(job: JobId) -> Path {
    Path::from(format!("jobs/{job}/data.arrow"))
}

pub fn journal_entry(job: JobId, number: u32) -> Path {
    Path::from(format!("jobs/{job}/journal/{number:08}.json"))
}

pub fn lease_folder(job: JobId) -> Path {
    Path::from(format!("jobs/{job}/lease"))
}

pub fn lease(job: JobId, number: u32) -> Path {
    lease_folder(job).join(format!("{number:08}.json"))
}

/// Instances that work on jobs.
pub fn instances_folder() -> Path {
    Path::from("instances")
}

/// An instance's newest sign of life.
pub fn beat(writer: Uuid) -> Path {
    instances_folder().join(format!("{writer}.json"))
}

/// Normalised data in another form than it is stored in, for those who fetch it from the store.
pub fn exported(job: JobId, extension: &str) -> Path {
    job_folder(job).join("exports").join(format!("data.{extension}"))
}

pub fn attempts_folder(job: JobId) -> Path {
    Path::from(format!("jobs/{job}/attempts"))
}

pub fn attempt(job: JobId, stage: &str, attempt: u32) -> Path {
    Path::from(format!("jobs/{job}/attempts/{stage}/{attempt}"))
}

pub fn spark_attempts(job: JobId) -> Path {
    attempts_folder(job).join(SPARK_STAGE)
}

/// What an application of Spark writes before its launcher publishes it.
pub fn spark_data(job: JobId, attempt: u32) -> Path {
    self::attempt(job, SPARK_STAGE, attempt).join("data")
}

/// What an application of Spark found; it appears whole, after the data.
pub fn spark_results(job: JobId, attempt: u32) -> Path {
    self::attempt(job, SPARK_STAGE, attempt).join("results.json")
}

/// A source in a form that Spark does not read, as Parquet.
pub fn spark_input(job: JobId, attempt: u32, number: u64) -> Path {
    self::attempt(job, SPARK_STAGE, attempt).join("input").join(format!("part-{number:05}.parquet"))
}

pub fn spark_log(job: JobId, attempt: u32) -> Path {
    Path::from(format!("logs/spark/{job}/attempt-{attempt}/driver.log"))
}

/// The Spark job that a build carries, once for all jobs.
pub fn spark_jar(hash: &str) -> Path {
    Path::from(format!("spark/caudal-spark-{hash}.jar"))
}

/// What an application elsewhere is told to do.
pub fn spark_spec(job: JobId, attempt: u32) -> Path {
    self::attempt(job, SPARK_STAGE, attempt).join("spec.json")
}

/// How an application elsewhere is to be started, for the function that starts it.
pub fn spark_order(job: JobId, attempt: u32) -> Path {
    self::attempt(job, SPARK_STAGE, attempt).join("order.json")
}

/// That somebody is about to start an application; whoever creates intent n may.
pub fn spark_intent(job: JobId, attempt: u32, number: u32) -> Path {
    spark_intents(job, attempt).join(format!("{number:08}.json"))
}

pub fn spark_intents(job: JobId, attempt: u32) -> Path {
    self::attempt(job, SPARK_STAGE, attempt).join("intents")
}

/// By which identity a service knows an application that was started.
pub fn spark_started(job: JobId, attempt: u32) -> Path {
    self::attempt(job, SPARK_STAGE, attempt).join("started.json")
}

/// How the function that starts applications last saw one.
pub fn spark_look(job: JobId, attempt: u32) -> Path {
    self::attempt(job, SPARK_STAGE, attempt).join("look.json")
}

/// Where services of AWS put the logs of applications.
pub fn spark_logs() -> Path {
    Path::from("logs/spark")
}

/// The stage whose attempts are applications of Spark.
const SPARK_STAGE: &str = "spark";

/// What the function that normalises is to do, and what it answers.
pub fn assignment(job: JobId, number: u32) -> Path {
    attempt(job, "gpu_processing", number).join("assignment.json")
}

pub fn stage_report(job: JobId, number: u32) -> Path {
    attempt(job, "gpu_processing", number).join("report.json")
}

pub fn finished_job(job: JobId) -> Path {
    Path::from(format!("jobs/{job}/job.json"))
}

pub fn active_folder() -> Path {
    Path::from("active")
}

pub fn active(job: JobId) -> Path {
    Path::from(format!("active/{job}"))
}

/// The jobs of one owner, a folder for each day.
pub fn index_folder(owner: &str) -> Path {
    Path::from("index").join(owner)
}

pub fn index_day(owner: &str, day: &str) -> Path {
    index_folder(owner).join(day)
}

pub fn index_entry(owner: &str, created_at: DateTime<Utc>, job: JobId) -> Path {
    let day = created_at.format("%Y-%m-%d").to_string();
    let newest_first = LATEST_MILLISECOND - created_at.timestamp_millis();
    index_day(owner, &day).join(format!("{newest_first:013}-{job}"))
}

/// The API keys that were given out.
pub fn api_keys_folder() -> Path {
    Path::from("access/keys")
}

/// One of them, by the part of it that is no secret.
pub fn api_key(id: &str) -> Path {
    api_keys_folder().join(format!("{id}.json"))
}

pub fn uploads_folder() -> Path {
    Path::from("uploads")
}

/// The name of an upload's record below its folder.
pub const UPLOAD_RECORD: &str = "upload.json";

/// Requests that are known again by a key of their sender.
pub fn idempotency_folder() -> Path {
    Path::from("idempotency")
}

/// What instances tell of one owner's use.
pub fn usage_folder(owner: &str) -> Path {
    Path::from("access/usage").join(owner)
}

pub fn usage(owner: &str, instance: Uuid) -> Path {
    usage_folder(owner).join(format!("{instance}.json"))
}

/// All that belongs to an upload.
pub fn upload(id: Uuid) -> Path {
    Path::from(format!("uploads/{id}"))
}

/// Owner, size, checksum, form and expiry of an upload.
pub fn upload_record(id: Uuid) -> Path {
    upload(id).join(UPLOAD_RECORD)
}

/// What was uploaded, once it is complete.
pub fn upload_data(id: Uuid) -> Path {
    upload(id).join("data")
}

pub fn probes_folder() -> Path {
    Path::from("probe")
}

/// What an idempotency key stands for, by the hash of its owner and the key.
pub fn idempotency(hash: &str) -> Path {
    idempotency_folder().join(hash)
}

/// Deliveries of webhooks that have not ended.
pub fn pending_deliveries() -> Path {
    Path::from("webhooks/pending")
}

pub fn pending_delivery(job: JobId) -> Path {
    pending_deliveries().join(format!("{job}.json"))
}

pub fn delivery_attempts(job: JobId) -> Path {
    Path::from(format!("webhooks/attempts/{job}"))
}

pub fn delivery_attempt(job: JobId, number: u32) -> Path {
    delivery_attempts(job).join(format!("{number:04}.json"))
}

/// How deliveries ended.
pub fn ended_deliveries() -> Path {
    Path::from("webhooks/ended")
}

pub fn ended_delivery(job: JobId) -> Path {
    ended_deliveries().join(format!("{job}.json"))
}

/// A part of an upload, until the upload is complete.
pub fn upload_part(id: Uuid, number: u32) -> Path {
    upload_parts(id).join(format!("{number:05}"))
}

pub fn upload_parts(id: Uuid) -> Path {
    upload(id).join("parts")
}

/// Where a start-up probe writes, and takes everything away again.
pub fn probe_folder(probe: Uuid) -> Path {
    Path::from(format!("probe/{probe}"))
}

pub fn probe(probe: Uuid, round: usize) -> Path {
    probe_folder(probe).join(format!("{round}"))
}

/// That a bucket was tried, and when.
pub fn probe_passed() -> Path {
    probes_folder().join("passed.json")
}

/// What a host measured of itself.
pub fn calibration(fingerprint: &str) -> Path {
    Path::from("planner").join(format!("{fingerprint}.json"))
}

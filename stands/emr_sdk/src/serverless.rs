//! EMR Serverless, which knows a job run by its client token: starting it again gives the same run.

use std::collections::BTreeMap;

use aws_sdk_emrserverless::Client;
use aws_sdk_emrserverless::operation::start_job_run::builders::StartJobRunFluentBuilder;
use aws_sdk_emrserverless::types::{JobDriver, JobRunState, SparkSubmit};

use crate::{Failure, LOOKS, PAUSE, SUBMISSIONS, again, client, expect, fails, script};

pub async fn check(url: &str) -> Result<(), Failure> {
    let serverless = client!(aws_sdk_emrserverless, url);
    let made = again!(
        serverless.create_application().release_label("emr-6.15.0").r#type("SPARK").client_token("sdk")
    );
    let application = made.application_id();
    let mut expected = BTreeMap::new();
    for number in 0..SUBMISSIONS {
        let run = again!(start(&serverless, application, number)?);
        let end = if fails(number) { JobRunState::Failed } else { JobRunState::Success };
        expected.insert(run.job_run_id().to_owned(), end);
    }
    expect(expected.len(), SUBMISSIONS, "the job runs that were started")?;
    let one = again!(start(&serverless, application, 0)?);
    expect(expected.contains_key(one.job_run_id()), true, "whether a token gives the same run")?;
    for _ in 0..LOOKS {
        let mut found = BTreeMap::new();
        for run in expected.keys() {
            let looked = again!(serverless.get_job_run().application_id(application).job_run_id(run));
            let state = looked.job_run().ok_or("a job run without a description")?.state().clone();
            found.insert(run.clone(), state);
        }
        let ended = |state: &JobRunState| {
            matches!(state, JobRunState::Success | JobRunState::Failed | JobRunState::Cancelled)
        };
        if found.values().all(ended) {
            return expect(found, expected, "the job runs");
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err("the job runs did not end".into())
}

fn start(serverless: &Client, application: &str, number: usize) -> Result<StartJobRunFluentBuilder, Failure> {
    let spark = SparkSubmit::builder().entry_point("-c").entry_point_arguments(script(number)).build()?;
    Ok(serverless
        .start_job_run()
        .application_id(application)
        .client_token(format!("caudal-{number:03}"))
        .name(format!("caudal-{number:03}"))
        .execution_role_arn("arn:aws:iam::123456789012:role/r")
        .job_driver(JobDriver::SparkSubmit(spark)))
}

//! The function `gpu_processing` on AWS Lambda.

#[tokio::main]
async fn main() -> Result<(), caudal_app::lambda::Error> {
    caudal_app::lambda::gpu_processing().await
}

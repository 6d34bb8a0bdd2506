//! Flags for what one job may take of this machine's memory and disk.

use std::path::PathBuf;

use caudal_app::settings::Overrides;
use clap::Args;

#[derive(Args, Clone)]
pub struct MemoryArguments {
    /// Memory that the columns of one job may take, such as 512MB; half of this machine's when it is not given.
    #[arg(long, value_name = "SIZE")]
    memory_limit: Option<String>,
    /// The folder for columns that memory has no room for; the storage's when it is not given.
    #[arg(long, value_name = "DIR")]
    spill_folder: Option<PathBuf>,
    /// What the columns of one job may take of that folder's disk, such as 50GB; 95 % of it when it is not given.
    #[arg(long, value_name = "SIZE")]
    spill_limit: Option<String>,
}

impl MemoryArguments {
    /// What these flags change, and nothing else.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            memory_limit: self.memory_limit.clone(),
            spill_folder: self.spill_folder.clone(),
            spill_limit: self.spill_limit.clone(),
            ..Overrides::default()
        }
    }
}

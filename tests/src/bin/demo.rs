//! `make demo`: stories on real servers while things are killed, each with a table of what was promised and seen.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use cdc_e2e::interrupt::run_until_interrupted;
use cdc_e2e::services::{Services, checkout};
use cdc_e2e::story;

/// What can be played, in this order; `STORY` chooses one.
const STORIES: [&str; 2] = ["relay", "sns"];

#[tokio::main]
async fn main() -> ExitCode {
    run_until_interrupted(run()).await
}

#[expect(clippy::print_stdout, reason = "the program's result")]
async fn run() -> Result<bool> {
    let stories = chosen()?;
    let dir = std::env::var_os("SERVICES_DIR")
        .map_or_else(|| checkout().join(".services-demo"), PathBuf::from);
    let keep = std::env::var_os("KEEP").is_some_and(|keep| keep == "1");
    let services = Arc::new(Services::in_dir(dir.clone(), keep).await?);
    let mut kept = true;
    for story in stories {
        println!("\n== {story} ==\n");
        kept &= match story {
            "relay" => Box::pin(story::relay::play(&services)).await?,
            "sns" => Box::pin(story::sns::play(&services)).await?,
            unknown => bail!("no story {unknown:?}"),
        };
    }
    if keep {
        let dir = dir.display();
        println!(
            "  The servers stay up: {dir}/env has their addresses, SERVICES_DIR={dir} scripts/services destroy ends them."
        );
    }
    Ok(kept)
}

/// The story that the environment names, or all.
fn chosen() -> Result<Vec<&'static str>> {
    let wanted = std::env::var("STORY").unwrap_or_default();
    let found = STORIES.iter().filter(|story| **story == wanted);
    let found: Vec<_> = found.copied().collect();
    match (wanted.as_str(), found.is_empty()) {
        ("", _) => Ok(STORIES.to_vec()),
        (_, false) => Ok(found),
        (unknown, true) => bail!("STORY={unknown}: there are {}", STORIES.join(", ")),
    }
}

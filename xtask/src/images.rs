//! `cargo xtask images`: takes the pictures of the documents. The story of the tests that takes them does it, and is told
//! where they go.

use anyhow::{Context, Result};

use crate::place::Place;
use crate::run::{cargo, succeed};
use crate::tools;

const STORY: &str = "test(browser_pages::pictures_of_the_main_pages_can_be_taken)";

pub fn run(place: &Place) -> Result<()> {
    let environment = tools::prepare(place)?;
    let folder = place.root.join("docs/images");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut command = cargo(place, &["nextest", "run", "--workspace", "--locked", "-E", STORY]);
    command.envs(environment).env("LOOPIQ_IMAGES", &folder);
    succeed(&mut command)?;
    println!("pictures in {}", folder.display());
    Ok(())
}
